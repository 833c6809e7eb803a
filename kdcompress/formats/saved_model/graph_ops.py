"""Allowlist of the TensorFlow ops that only compute, which the graph of an untrusted SavedModel may contain.

Everything else is rejected. An op is listed if it reads only its inputs, its attributes and variables of the same
model, and changes only its outputs and such variables. Excluded are ops on files (also those that name one in an
attribute: ImmutableConst, FixedUnigramCandidateSampler), tables and their initialisers, Python functions, queues,
barriers and staging areas, readers, data sets, other machines and TPUs, summaries, printing (which can write a file),
debugging, whole programs in an attribute (XlaCallModule, TRTEngineOp), and ops that end or halt the process (Abort,
mutexes). New ops are added by name after a review.
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
    UniqueWithCounts UniqueWithCountsV2 Unpack UnravelIndex UpperBound Where XlaDynamicUpdateSlice ZerosLike
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
# Layers, activations and losses, with their gradients: Keras saves custom gradients with the forward functions
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
# Decoders are for signatures that take encoded images; they open no file
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
# Bodies and branches are functions of the same file, whose ops are checked like all others
_CONTROL_FLOW = """
    Assert Case CheckNumerics ControlTrigger Enter Exit FakeParam For If LoopCond Merge NextIteration PartitionedCall
    RefEnter RefExit RefIdentity RefMerge RefNextIteration RefSelect RefSwitch StatefulPartitionedCall StatelessCase
    StatelessIf StatelessWhile Switch ToBool While
"""
# Lists of tensors in loops; the Stack ops store values for the gradient of a loop in graphs of TensorFlow 1
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
# Ops with Ref in TensorFlow's documentation (Assign, Variable, Scatter..., Apply...) are of TensorFlow 1. A model saved
# with its training step contains the updates of its optimizer, which change only its own variables.
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

# Ops of the saver in every ordinary SavedModel. SaveV2 can write any file, so they are allowed only where neither
# loading nor calling runs them. All that access files are stateful, so no graph import or optimizer folds them.
SAVING = frozenset(
    "MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename ShardedFilespec StaticRegexFullMatch StringJoin".split()
)

_INERT_ATTRIBUTES = {"_input_shapes", "_construction_context"}  # of a function; TensorFlow never selects it by these


def may_run(meta: Any, number: int) -> bool:
    """Determine whether loading or calling a SavedModel with an object graph may run a function of its library.

    TensorFlow runs the functions that the object graph names (signatures, initialisers, restoring), and those that they
    call through ops and attributes of nodes at any depth, through gradients, or through attributes of functions by
    which its optimizer substitutes them. The name of such a function occurs somewhere in the serialized messages, while
    that of the saver, which only the main graph calls, does not; searching the bytes misses no reference.

    Args:
        meta: MetaGraphDef.
        number: Index of the function in the library.

    Returns:
        True unless it is certain that the function is never run.
    """
    library = meta.graph_def.library
    function = library.function[number]
    name = function.signature.name.encode()
    messages = [*library.gradient, *library.registered_gradients, meta.object_graph_def, meta.meta_info_def]
    messages += [other for index, other in enumerate(library.function) if index != number]
    inert = _INERT_ATTRIBUTES.issuperset(function.attr)
    return not inert or any(name in message.SerializeToString() for message in messages)


def unsafe_savers(meta: Any) -> list[Any]:
    """Find the saver nodes that loading or calling a SavedModel without an object graph would run on arbitrary files.

    TensorFlow then imports the main graph and runs what signatures, initialisers and variables name, and the restore
    op, to which it passes the file name of the SavedModel's own variables. Only the latter may access files.

    Args:
        meta: MetaGraphDef.

    Returns:
        NodeDefs, in order of their names.
    """
    nodes, saver = {node.name: node for node in meta.graph_def.node}, meta.saver_def
    inputs = {name: [_node_name(tensor) for tensor in node.input] for name, node in nodes.items()}
    consumers: dict[str, list[str]] = {}
    for name, sources in inputs.items():
        for source in sources:
            consumers.setdefault(source, []).append(name)
    savers = {name for name, node in nodes.items() if node.op in SAVING}
    messages = [meta.signature_def[key].SerializeToString() for key in meta.signature_def]
    # The collection "savers" lists savers that are never run; the one that restores is in saver_def
    messages += [meta.collection_def[key].SerializeToString() for key in meta.collection_def if key != "savers"]
    text = b"\n".join(messages)
    unsafe = {name for name in _reachable(savers, consumers) if name.encode() in text}
    file = _output(saver.filename_tensor_name)
    for name in savers & _reachable({_node_name(saver.restore_op_name)}, inputs):
        if nodes[name].op != "RestoreV2" or [_output(tensor) for tensor in nodes[name].input[:1]] != [file]:
            unsafe.add(name)
    return [nodes[name] for name in sorted(unsafe & savers or unsafe)]


def _reachable(start: set[str], edges: dict[str, list[str]]) -> set[str]:
    reached, pending = set(start), list(start)
    while pending:
        new = [name for name in edges.get(pending.pop(), []) if name not in reached]
        reached.update(new)
        pending += new
    return reached


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").split(":")[0]


def _output(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
