"""Allowlist of the classes and functions that a Keras file may name: those of Keras 3 and older that only compute.

Everything else is rejected, so that additions of later Keras versions are not available to a file before they have been
reviewed. Excluded on purpose: Lambda; layers that load code or models (TFSMLayer, TorchModuleWrapper, JaxLayer,
FlaxLayer); layers that read files (StringLookup, IntegerLookup, TextVectorization); operations that take a function
(Map, Scan, Cond, WhileLoop, ...); callbacks, utilities and data sets, which are not part of a model.
"""

from __future__ import annotations

MODELS = frozenset("Functional Model Sequential".split())

LAYERS = frozenset(
    """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
    AugMix AutoContrast AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
    BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D
    Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose
    Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout
    ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention
    GroupedQueryAttention HashedCrossing Hashing Identity InputLayer InputSpec LSTM LSTMCell LayerNormalization
    LeakyReLU
    Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum
    MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHeight RandomHue
    RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
    RandomTranslation RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding
    STFTSpectrogram SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D
    SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D
    SpectralNormalization StackedRNNCells Subtract ThresholdedReLU TimeDistributed UnitNormalization
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """.split()
)

INITIALIZERS = frozenset(
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal VarianceScaling
    Zeros
    """.split()
)
REGULARIZERS = frozenset("L1 L1L2 L2 OrthogonalRegularizer".split())
CONSTRAINTS = frozenset("MaxNorm MinMaxNorm NonNeg UnitNorm".split())
POLICIES = frozenset(
    "DTypePolicy DTypePolicyMap FloatDTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy".split()
)
QUANTIZERS = frozenset("AbsMaxQuantizer Int8QuantizationConfig Int4QuantizationConfig Float8QuantizationConfig".split())
SEEDS = frozenset(["SeedGenerator"])
OPTIMIZERS = frozenset(
    """
    Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon Nadam RMSprop SGD
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay
    """.split()
)
LOSSES = frozenset(
    """
    BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLDivergence LogCosh
    MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky
    """.split()
)
METRICS = frozenset(
    """
    AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy
    CategoricalHinge CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Hinge IoU KLDivergence
    LogCoshError Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanSquaredError
    MeanSquaredLogarithmicError OneHotIoU OneHotMeanIoU Poisson Precision PrecisionAtRecall R2Score Recall
    RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy
    SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge Sum
    TopKCategoricalAccuracy TrueNegatives TruePositives
    """.split()
)

# keras.ops in a functional model: the classes of the operations, none of which takes a function
OPERATIONS = frozenset(
    """
    Abs Absolute AdaptiveAveragePool AdaptiveMaxPool Add AffineTransform All AllClose Amax Amin Angle Any Append
    Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit
    Average AveragePool BatchNorm BinaryCrossentropy Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot
    BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo CDist CTCDecode CTCLoss Cast CategoricalCrossentropy Cbrt
    Ceil Celu Cholesky CholeskyInverse Clip Concatenate Conj Conjugate Conv ConvTranspose ConvertToTensor Copy
    Corrcoef Correlate Cos Cosh CountNonzero CropImages Cross Cumprod Cumsum Deg2rad DepthToSpace DepthwiseConv Det
    Diag Diagflat Diagonal Diff Digitize Divide DivideNoNan Dot DotProductAttention Dsplit Dstack Eig Eigh Einsum
    ElasticTransform Elu EmptyLike Equal Erf Erfc Erfinv Exp Exp2 ExpandDims Expm1 ExtractPatches ExtractSequences
    FFT FFT2 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Fold Full FullLike GaussianBlur Gcd Gelu
    Geomspace GetItem Glu Greater GreaterEqual HSVToRGB HardShrink HardSigmoid HardSilu HardTanh Heaviside Histogram
    Hsplit Hstack Hypot I0 IFFT2 IRFFT ISTFT Imag InTopK Inner Inv IsIn Isclose Isfinite Isinf Isnan Isneginf
    Isposinf Isreal Kron LayerNorm Lcm Ldexp LeakyRelu LeftShift Less LessEqual Linspace Log Log10 Log1p Log2
    LogSigmoid LogSoftmax Logaddexp Logaddexp2 Logdet LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Logsumexp
    Lstsq LuFactor MapCoordinates Matmul MatrixRank Max MaxPool Maximum Mean Median Meshgrid Min Minimum Mod Moments
    Moveaxis MultiHot Multiply NanToNum Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin
    Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative Nextafter Nonzero Norm Normalize NotEqual
    OneHot OnesLike Outer PSNR Pad PadImages Percentile PerspectiveTransform Pinv Polar Power Prod Ptp Qr Quantile
    RFFT RGBToGrayscale RGBToHSV RMSNorm Rad2deg Ravel Real Reciprocal Relu Relu6 Repeat Reshape Resize RightShift
    Roll Rot90 Round Rsqrt SSIM STFT SVD SaturateCast ScaleAndTranslate Scatter ScatterUpdate SearchSorted
    SegmentMax SegmentMin SegmentProd SegmentSum Select Selu SeparableConv Sigmoid Sign Signbit Silu Sin Sinc Sinh
    Size Slice SliceUpdate Slogdet SobelEdges SoftShrink Softmax Softplus Softsign Solve SolveTriangular Sort
    SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Split Sqrt Square Squareplus
    Squeeze Stack Std StopGradient Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh TanhShrink Tensordot Threshold
    Tile TopK Trace Transpose Trapezoid Tril Triu TrueDivide Trunc Unfold Unique UnravelIndex Unstack Vander Var
    Vdot View ViewAsComplex ViewAsReal Vsplit Vstack Where ZerosLike
    """.split()
)

# Functions by name: activations, losses and metrics
FUNCTIONS = frozenset(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
    accuracy acc auc binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy
    categorical_crossentropy categorical_focal_crossentropy categorical_hinge cosine_similarity dice hinge huber
    kl_divergence log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error
    mean_squared_logarithmic_error poisson sparse_categorical_accuracy sparse_categorical_crossentropy
    sparse_top_k_categorical_accuracy squared_hinge top_k_categorical_accuracy tversky mae mape mse msle bce kld
    """.split()
)
FUNCTION_MODULES = frozenset(
    """
    builtins keras.activations keras.losses keras.metrics keras.ops keras.ops.nn keras.ops.numpy keras.nn
    keras.src.activations.activations keras.src.losses.losses keras.src.metrics.accuracy_metrics
    """.split()
)

_PUBLIC = {
    "keras.layers": LAYERS,
    "keras.models": MODELS,
    "keras.initializers": INITIALIZERS,
    "keras.regularizers": REGULARIZERS,
    "keras.constraints": CONSTRAINTS,
    "keras.dtype_policies": POLICIES,
    "keras.quantizers": QUANTIZERS,
    "keras.random": SEEDS,
    "keras.optimizers": OPTIMIZERS,
    "keras.optimizers.schedules": OPTIMIZERS,
    "keras.losses": LOSSES,
    "keras.metrics": METRICS,
}
_PRIVATE = {
    "keras.src.applications.convnext": frozenset(["LayerScale", "StochasticDepth"]),
    "keras.src.applications.inception_resnet_v2": frozenset(["CustomScaleLayer"]),
    "keras.src.models.functional": MODELS,
    "keras.src.models.sequential": MODELS,
    "keras.src.models.model": MODELS,
    "keras.src.engine.functional": MODELS,
    **dict.fromkeys(
        (f"keras.src.ops.{name}" for name in ("core", "image", "linalg", "math", "nn", "numpy")), OPERATIONS
    ),
}
CLASSES = {**_PUBLIC, **_PRIVATE, "keras": MODELS | POLICIES | INITIALIZERS}
# Older files, and some values in newer files, name a class without its module
WITHOUT_MODULE = frozenset[str]().union(*CLASSES.values())
# Class names under which Keras serializes plain values
VALUES = frozenset(
    "__keras_tensor__ __tensor__ __numpy__ __bytes__ __ellipsis__ __slice__ __tuple__ TensorShape".split()
)
