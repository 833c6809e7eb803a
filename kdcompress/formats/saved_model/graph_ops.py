"""The TensorFlow ops that only compute: what the graph of a SavedModel may hold unless its maker is trusted.

An allow-list, so that an op that nobody thought of is refused. An op is in it if all that it reads are its inputs, its
attributes and variables of the same model, and all that it changes are its outputs and such variables. Out stay ops on
files (also those that name one in an attribute: ImmutableConst, FixedUnigramCandidateSampler), tables and their
initialisers, Python functions, queues, barriers and staging areas, readers, data sets, other machines and TPUs,
summaries, printing (which takes a file), debugging, whole programs in an attribute (XlaCallModule, TRTEngineOp), and
what ends or halts the process (Abort, mutexes). New ops come in by name, after a look at what they do.
"""

from __future__ import annotations

from typing import Any

_ARRAYS = """
    BatchToSpace BatchToSpaceND Bitcast BroadcastArgs BroadcastGradientArgs BroadcastTo Bucketize Cast Concat
    ConcatOffset ConcatV2 Const DataFormatDimMap DataFormatVecPermute DepthToSpace Diag DiagPart DynamicPartition
    DynamicStitch EnsureShape ExpandDims Fill Gather GatherNd GatherV2 GuaranteeConst Identity IdentityN
    InvertPermutation LinSpace ListDiff LowerBound MatrixBandPart MatrixDiag MatrixDiagPart MatrixDiagPartV2
    MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad MirrorPadGrad
    NoOp OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch Placeholder PlaceholderV2 PlaceholderWithDefault
    PreventGradient Range Rank Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd ScatterNdNonAliasingAdd Select
    SelectV2 Shape ShapeN Size Slice Snapshot SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Squeeze
    StopGradient StridedSlice StridedSliceGrad TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub
    TensorScatterUpdate TensorStridedSliceUpdate Tile TileGrad Transpose ConjugateTranspose Unique UniqueV2
    UniqueWithCounts UniqueWithCountsV2 Unpack UnravelIndex UpperBound Where ZerosLike
"""
_MATHS = """
    Abs AccumulateNV2 Acos Acosh Add AddN AddV2 Angle ApproximateEqual ArgMax ArgMin Asin Asinh Atan Atan2 Atanh
    BesselI0 BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1
    Betainc Bincount Ceil ClipByValue Complex ComplexAbs Conj Cos Cosh Cross Cumprod Cumsum CumulativeLogsumexp Dawsn
    DenseBincount Digamma Div DivNoNan Equal Erf Erfc Erfinv Exp Expint Expm1 Floor FloorDiv FloorMod FresnelCos
    FresnelSin Greater GreaterEqual HistogramFixedWidth Igamma IgammaGradA Igammac Imag Inv InvGrad IsFinite IsInf
    IsNan Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Ndtri Neg
    NextAfter NotEqual Polygamma Pow Real RealDiv Reciprocal ReciprocalGrad Rint Round Rsqrt RsqrtGrad Sigmoid
    SigmoidGrad Sign Sin Sinh Spence Sqrt SqrtGrad Square SquaredDifference Sub Tan Tanh TanhGrad TruncateDiv
    TruncateMod Xdivy Xlog1py Xlogy Zeta
    BitwiseAnd BitwiseOr BitwiseXor Invert LeftShift PopulationCount RightShift
    All Any EuclideanNorm Max Mean Min Prod Sum
    SegmentMax SegmentMaxV2 SegmentMean SegmentMin SegmentMinV2 SegmentProd SegmentProdV2 SegmentSum SegmentSumV2
    UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
"""
_LINEAR_ALGEBRA = """
    BandedTriangularSolve BatchMatMul BatchMatMulV2 BatchMatMulV3 Cholesky CholeskyGrad Eig Einsum
    LogMatrixDeterminant Lu MatMul MatrixDeterminant MatrixExponential MatrixInverse MatrixLogarithm MatrixSolve
    MatrixSolveLs MatrixSquareRoot MatrixTriangularSolve Qr SelfAdjointEig SelfAdjointEigV2 SparseMatMul Svd
    TridiagonalMatMul TridiagonalSolve
    BatchFFT BatchFFT2D BatchFFT3D BatchIFFT BatchIFFT2D BatchIFFT3D FFT FFT2D FFT3D FFTND IFFT IFFT2D IFFT3D IFFTND
    IRFFT IRFFT2D IRFFT3D IRFFTND RFFT RFFT2D RFFT3D RFFTND
"""
# Layers, activations and losses, with their gradients: Keras keeps custom gradients beside the forward functions.
_NETWORKS = """
    ApproxTopK AvgPool AvgPool3D AvgPool3DGrad AvgPoolGrad BatchNormWithGlobalNormalization
    BatchNormWithGlobalNormalizationGrad BiasAdd BiasAddGrad BiasAddV1 Conv Conv2D Conv2DBackpropFilter
    Conv2DBackpropFilterV2 Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D Conv3DBackpropFilter
    Conv3DBackpropFilterV2 Conv3DBackpropInput Conv3DBackpropInputV2 DepthwiseConv2dNative
    DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput Dilation2D Dilation2DBackpropFilter
    Dilation2DBackpropInput Elu EluGrad FractionalAvgPool FractionalAvgPoolGrad FractionalMaxPool
    FractionalMaxPoolGrad FusedBatchNorm FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3
    FusedBatchNormV2 FusedBatchNormV3 FusedPadConv2D FusedResizeAndPadConv2D InTopK InTopKV2 IsotonicRegression
    KthOrderStatistic L2Loss LRN LRNGrad LeakyRelu LeakyReluGrad LogSoftmax MaxPool MaxPool3D MaxPool3DGrad
    MaxPool3DGradGrad MaxPoolGrad MaxPoolGradGrad MaxPoolGradGradV2 MaxPoolGradGradWithArgmax MaxPoolGradV2
    MaxPoolGradWithArgmax MaxPoolV2 MaxPoolWithArgmax NthElement Relu Relu6 Relu6Grad ReluGrad Selu SeluGrad Softmax
    SoftmaxCrossEntropyWithLogits Softplus SoftplusGrad Softsign SoftsignGrad SparseSoftmaxCrossEntropyWithLogits
    TopK TopKV2 TopKUnique TopKWithUnique MakeUnique
    BlockLSTM BlockLSTMGrad BlockLSTMGradV2 BlockLSTMV2 GRUBlockCell GRUBlockCellGrad LSTMBlockCell LSTMBlockCellGrad
    CudnnRNN CudnnRNNBackprop CudnnRNNBackpropV2 CudnnRNNBackpropV3 CudnnRNNCanonicalToParams
    CudnnRNNCanonicalToParamsV2 CudnnRNNParamsSize CudnnRNNParamsToCanonical CudnnRNNParamsToCanonicalV2 CudnnRNNV2
    CudnnRNNV3 CTCBeamSearchDecoder CTCGreedyDecoder CTCLoss CTCLossV2
"""
# Decoders are for bytes that a signature is called with, beside the one that takes pixels; they open no file.
_IMAGES = """
    AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation CombinedNonMaxSuppression CropAndResize
    CropAndResizeGradBoxes CropAndResizeGradImage DrawBoundingBoxes DrawBoundingBoxesV2 ExtractGlimpse
    ExtractGlimpseV2 ExtractImagePatches ExtractVolumePatches GenerateBoundingBoxProposals HSVToRGB
    ImageProjectiveTransformV2 ImageProjectiveTransformV3 NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3
    NonMaxSuppressionV4 NonMaxSuppressionV5 NonMaxSuppressionWithOverlaps RGBToHSV ResizeArea ResizeBicubic
    ResizeBicubicGrad ResizeBilinear ResizeBilinearGrad ResizeNearestNeighbor ResizeNearestNeighborGrad
    SampleDistortedBoundingBox SampleDistortedBoundingBoxV2 ScaleAndTranslate ScaleAndTranslateGrad
    StatelessSampleDistortedBoundingBox
    DecodeAndCropJpeg DecodeBase64 DecodeBmp DecodeGif DecodeImage DecodeJpeg DecodePaddedRaw DecodePng DecodeRaw
    EncodeJpeg EncodeJpegVariableQuality EncodePng ExtractJpegShape
"""
# Bodies and branches are functions of the same file, whose ops are checked like all others.
_CONTROL_FLOW = """
    Assert Case CheckNumerics ControlTrigger Enter Exit FakeParam For If LoopCond Merge NextIteration PartitionedCall
    RefEnter RefExit RefIdentity RefMerge RefNextIteration RefSelect RefSwitch StatefulPartitionedCall StatelessCase
    StatelessIf StatelessWhile Switch ToBool While
"""
# Lists of tensors, as loops keep them; the Stack ops are a loop's memory for its gradient in graphs of TensorFlow 1.
_LISTS = """
    EmptyTensorList TensorListConcat TensorListConcatLists TensorListConcatV2 TensorListElementShape
    TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack
    TensorListPushBackBatch TensorListReserve TensorListResize TensorListScatter TensorListScatterIntoExistingList
    TensorListScatterV2 TensorListSetItem TensorListSplit TensorListStack
    TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayGradV3 TensorArrayGradWithShape
    TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3
    StackCloseV2 StackPopV2 StackPushV2 StackV2
    RaggedGather RaggedRange RaggedTensorToSparse RaggedTensorToTensor
"""
_SPARSE = """
    SparseAdd SparseAddGrad SparseConcat SparseDenseCwiseAdd SparseDenseCwiseDiv SparseDenseCwiseMul
    SparseFillEmptyRows SparseFillEmptyRowsGrad SparseReduceMax SparseReduceMaxSparse SparseReduceSum
    SparseReduceSumSparse SparseReorder SparseReshape SparseSegmentMean SparseSegmentMeanGrad
    SparseSegmentMeanWithNumSegments SparseSegmentSqrtN SparseSegmentSqrtNGrad SparseSegmentSqrtNWithNumSegments
    SparseSegmentSum SparseSegmentSumGrad SparseSegmentSumWithNumSegments SparseSlice SparseSliceGrad SparseSoftmax
    SparseSparseMaximum SparseSparseMinimum SparseSplit SparseTensorDenseAdd SparseTensorDenseMatMul SparseToDense
"""
# Those with Ref in TensorFlow's documents (Assign, Variable, Scatter..., Apply...) are of TensorFlow 1. A model that
# was saved with its training step has its optimiser's updates, which change its own variables alone.
_VARIABLES = """
    Assign AssignAdd AssignAddVariableOp AssignSub AssignSubVariableOp AssignVariableOp CountUpTo DestroyResourceOp
    DisableCopyOnRead IsVariableInitialized ReadVariableOp ResourceCountUpTo ResourceGather ResourceGatherNd
    ResourceScatterAdd ResourceScatterDiv ResourceScatterMax ResourceScatterMin ResourceScatterMul
    ResourceScatterNdAdd ResourceScatterNdMax ResourceScatterNdMin ResourceScatterNdSub ResourceScatterNdUpdate
    ResourceScatterSub ResourceScatterUpdate ResourceStridedSliceAssign ScatterAdd ScatterDiv ScatterMax ScatterMin
    ScatterMul ScatterNdAdd ScatterNdMax ScatterNdMin ScatterNdSub ScatterNdUpdate ScatterSub ScatterUpdate
    StridedSliceAssign VarHandleOp VarIsInitializedOp Variable VariableShape VariableV2
    ApplyAdadelta ApplyAdagrad ApplyAdagradV2 ApplyAdam ApplyCenteredRMSProp ApplyFtrl ApplyFtrlV2
    ApplyGradientDescent ApplyMomentum ApplyRMSProp
    ResourceApplyAdaMax ResourceApplyAdadelta ResourceApplyAdagrad ResourceApplyAdagradV2 ResourceApplyAdam
    ResourceApplyAdamWithAmsgrad ResourceApplyCenteredRMSProp ResourceApplyFtrl ResourceApplyFtrlV2
    ResourceApplyGradientDescent ResourceApplyKerasMomentum ResourceApplyMomentum ResourceApplyRMSProp
    ResourceSparseApplyAdadelta ResourceSparseApplyAdagrad ResourceSparseApplyAdagradV2
    ResourceSparseApplyCenteredRMSProp ResourceSparseApplyFtrl ResourceSparseApplyFtrlV2
    ResourceSparseApplyKerasMomentum ResourceSparseApplyMomentum ResourceSparseApplyRMSProp
"""
_RANDOM = """
    Multinomial NonDeterministicInts ParameterizedTruncatedNormal RandomCrop RandomGamma RandomGammaGrad
    RandomIndexShuffle RandomPoisson RandomPoissonV2 RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt
    RngReadAndSkip RngSkip StatefulRandomBinomial StatefulStandardNormal StatefulStandardNormalV2
    StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt StatelessMultinomial
    StatelessParameterizedTruncatedNormal StatelessRandomBinomial StatelessRandomGammaV2 StatelessRandomGammaV3
    StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal
    StatelessRandomNormalV2 StatelessRandomPoisson StatelessRandomUniform StatelessRandomUniformFullInt
    StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2
    StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2 StochasticCastToInt TruncatedNormal
"""
_QUANTIZED = """
    Dequantize FakeQuantWithMinMaxArgs FakeQuantWithMinMaxArgsGradient FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsGradient FakeQuantWithMinMaxVarsPerChannel FakeQuantWithMinMaxVarsPerChannelGradient
    QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4
    QuantizeAndDequantizeV4Grad QuantizeDownAndShrinkRange QuantizeV2 QuantizedAdd QuantizedAvgPool
    QuantizedBatchNormWithGlobalNormalization QuantizedBiasAdd QuantizedConcat QuantizedConcatV2 QuantizedConv2D
    QuantizedConv2DAndRelu QuantizedConv2DAndReluAndRequantize QuantizedConv2DAndRequantize QuantizedConv2DPerChannel
    QuantizedConv2DWithBias QuantizedConv2DWithBiasAndRelu QuantizedConv2DWithBiasAndReluAndRequantize
    QuantizedConv2DWithBiasAndRequantize QuantizedConv2DWithBiasSignedSumAndReluAndRequantize
    QuantizedConv2DWithBiasSumAndRelu QuantizedConv2DWithBiasSumAndReluAndRequantize QuantizedDepthwiseConv2D
    QuantizedDepthwiseConv2DWithBias QuantizedDepthwiseConv2DWithBiasAndRelu
    QuantizedDepthwiseConv2DWithBiasAndReluAndRequantize QuantizedInstanceNorm QuantizedMatMul
    QuantizedMatMulWithBias QuantizedMatMulWithBiasAndDequantize QuantizedMatMulWithBiasAndRelu
    QuantizedMatMulWithBiasAndReluAndRequantize QuantizedMatMulWithBiasAndRequantize QuantizedMaxPool QuantizedMul
    QuantizedRelu QuantizedRelu6 QuantizedReluX QuantizedReshape QuantizedResizeBilinear RequantizationRange
    RequantizationRangePerChannel Requantize RequantizePerChannel UniformDequantize UniformQuantize
    UniformQuantizedAdd UniformQuantizedClipByValue UniformQuantizedConvolution UniformQuantizedConvolutionHybrid
    UniformQuantizedDot UniformQuantizedDotHybrid UniformRequantize
"""

COMPUTING = frozenset(
    name
    for group in (
        *(_ARRAYS, _MATHS, _LINEAR_ALGEBRA, _NETWORKS, _IMAGES, _CONTROL_FLOW),
        *(_LISTS, _SPARSE, _VARIABLES, _RANDOM, _QUANTIZED),
    )
    for name in group.split()
)

# What every stock SavedModel's own saver adds; SaveV2 writes any file. Only where neither loading nor calling runs it.
# All that touch files are stateful, which is why no graph import or optimiser folds them into constants.
SAVING = frozenset(
    "MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename ShardedFilespec StaticRegexFullMatch StringJoin".split()
)

_PLAIN = {"_input_shapes", "_construction_context"}  # attributes of a function that never make TensorFlow choose it


def runs(meta: Any, number: int) -> bool:
    """Whether loading or calling a SavedModel with an object graph may run this function of its library.

    TensorFlow runs the functions that the object graph names (signatures, initialisers, restoring), and what those call
    by nodes' ops and attributes at any depth, by gradients, or by attributes of functions, for which its optimiser
    swaps them. The name of such a function stands somewhere, and that of the saver, which only the main graph calls,
    does not: the bytes are searched, so that there is no place to forget.
    """
    library = meta.graph_def.library
    function = library.function[number]
    name = function.signature.name.encode()
    named = [*library.gradient, *library.registered_gradients, meta.object_graph_def, meta.meta_info_def]
    named += [other for place, other in enumerate(library.function) if place != number]
    return not _PLAIN.issuperset(function.attr) or any(name in message.SerializeToString() for message in named)


def savers_at_work(meta: Any) -> list[Any]:
    """The nodes of savers that loading or calling a SavedModel without an object graph would run amiss.

    TensorFlow imports the main graph then and runs what signatures, initialisers and variables name, and the restoring,
    to which it gives the name of the SavedModel's own variables. Only the latter may reach files.
    """
    nodes, saver = {node.name: node for node in meta.graph_def.node}, meta.saver_def
    before = {name: [_node_name(given) for given in node.input] for name, node in nodes.items()}
    behind: dict[str, list[str]] = {}
    for name, givens in before.items():
        for given in givens:
            behind.setdefault(given, []).append(name)
    savers = {name for name, node in nodes.items() if node.op in SAVING}
    run = [meta.signature_def[key].SerializeToString() for key in meta.signature_def]
    # The collection "savers" holds others than the one that restores, which nobody runs
    run += [meta.collection_def[key].SerializeToString() for key in meta.collection_def if key != "savers"]
    text = b"\n".join(run)
    amiss = {name for name in _reachable(savers, behind) if name.encode() in text}
    file = _output(saver.filename_tensor_name)
    for name in savers & _reachable({_node_name(saver.restore_op_name)}, before):
        if nodes[name].op != "RestoreV2" or [_output(given) for given in nodes[name].input[:1]] != [file]:
            amiss.add(name)
    return [nodes[name] for name in sorted(amiss & savers or amiss)]


def _reachable(start: set[str], edges: dict[str, list[str]]) -> set[str]:
    found, pending = set(start), list(start)
    while pending:
        new = [name for name in edges.get(pending.pop(), []) if name not in found]
        found.update(new)
        pending += new
    return found


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").split(":")[0]


def _output(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
