"""What to do about operators the core does not have: one hint a kind of operator."""

import math

from penstock.compiler.importer.net import Net, OpNode

#: Logits a gate's decision has, at most, in a dimension of their own: (N, channels, 3).
MOST_LOGITS = 3

GATE = "Clip(0, 1), Sigmoid, or Greater than a constant"
#: Where the network should end.
LOGITS = "end the network at its logits; {} is computed on the host"
#: What the table of an activation cannot be.
ACTIVATION = (
    "an activation is a function of one map, or of one vector between dense layers, and of numbers "
    "that are the same for every channel"
)
ONE_MAP = "of one map any function is computed, of two only sums, and products with gate scores"
TWO_LOGITS = (
    "let the gate's dense layer make one score, the difference of the two logits, and compare it "
    "with a constant: Gemm, Greater, Cast"
)
THRESHOLD = "let the gate be Greater(score, constant) and a Cast to float32: 1 where it is open"
DETECTION = "end the network before it; it is computed on the host"
RECURRENT = "convolutional networks with gates are supported, recurrent ones are not"
ATTENTION = "convolutional networks with gates are supported, attention is not"
NORMALISE = "use BatchNormalization, whose statistics are constants, and fold it or --calibrate it"
INTEGER = "write it as QuantizeLinear, DequantizeLinear and the operator in floating point (QDQ)"
CONTROL = "export the network without control flow; a gate multiplies what it may skip"
CONSTANTS = "let the exporter fold constants, or simplify the file before (onnxslim)"
RANDOM = "export the network in evaluation mode"

HINTS = {
    "And": THRESHOLD,
    "ArgMax": LOGITS.format("the label"),
    "ArgMin": LOGITS.format("the label"),
    "Celu": ACTIVATION,
    "ConstantOfShape": CONSTANTS,
    "ConvInteger": INTEGER,
    "Div": "divide by one number; divide the weights before instead, or write Mul with the gate's "
    "score",
    "DynamicQuantizeLinear": "quantise with constant scales: static quantisation, QDQ",
    "Einsum": "write it as MatMul or Gemm with a constant",
    "Elu": ACTIVATION,
    "Equal": THRESHOLD,
    "Erf": ACTIVATION,
    "Exp": LOGITS.format("the exponential"),
    "Expand": "multiply by the scores as they are, (N, channels, 1, 1) or (N, 1, 1, 1)",
    "Floor": THRESHOLD,
    "GRU": RECURRENT,
    "GatherND": "Gather channels or outputs with constant indices",
    "Gelu": ACTIVATION,
    "GlobalMaxPool": "pool by GlobalAveragePool",
    "GlobalLpPool": "pool by GlobalAveragePool",
    "GroupNormalization": NORMALISE,
    "HardSigmoid": "in a gate: write it as Clip(0, 1) of a dense layer with its slope and offset "
    "in the weights; elsewhere " + ACTIVATION,
    "HardSwish": ACTIVATION,
    "If": CONTROL,
    "InstanceNormalization": NORMALISE,
    "LSTM": RECURRENT,
    "LRN": NORMALISE,
    "LayerNormalization": NORMALISE,
    "LeakyRelu": ACTIVATION,
    "Less": "write Greater(score, constant): negate the dense layer's weights and the constant",
    "LessOrEqual": "write GreaterOrEqual(score, constant): negate the dense layer's weights and "
    "the constant",
    "LogSoftmax": LOGITS.format("the softmax"),
    "Loop": CONTROL,
    "LpNormalization": NORMALISE,
    "MatMulInteger": INTEGER,
    "MeanVarianceNormalization": NORMALISE,
    "Mish": ACTIVATION,
    "Neg": "negate the weights of the layer before it",
    "NonMaxSuppression": DETECTION,
    "NonZero": DETECTION,
    "Not": "write Greater(score, constant) the other way round: negate the dense layer's weights",
    "OneHot": THRESHOLD,
    "Or": THRESHOLD,
    "PRelu": "give it one slope for all channels, or use LeakyRelu",
    "Pad": "give the padding to the convolution",
    "Pow": ONE_MAP,
    "QLinearConv": INTEGER,
    "QLinearMatMul": INTEGER,
    "RandomNormal": RANDOM,
    "RandomNormalLike": RANDOM,
    "RandomUniform": RANDOM,
    "RandomUniformLike": RANDOM,
    "ReduceMax": "pool by GlobalAveragePool, or by ReduceMean over height and width",
    "ReduceSum": "average by GlobalAveragePool, and multiply the weights behind by height x width",
    "Round": THRESHOLD,
    "RNN": RECURRENT,
    "ScatterElements": THRESHOLD,
    "Scan": CONTROL,
    "Selu": ACTIVATION,
    "Shrink": ACTIVATION,
    "Softmax": LOGITS.format("the softmax"),
    "Softplus": ACTIVATION,
    "Softsign": ACTIVATION,
    "SpaceToDepth": "use a convolution with stride 2",
    "Sqrt": ONE_MAP,
    "Sub": "negate the weights of the layer behind the minus and write Add",
    "Swish": "write it as Mul(x, Sigmoid(x))",
    "Tanh": ACTIVATION,
    "ThresholdedRelu": ACTIVATION,
    "TopK": DETECTION,
    "Where": "multiply by the gate's score: Mul(branch, score)",
}
#: Inside a gate the same operators ask for something else.
IN_A_GATE = {
    "ArgMax": TWO_LOGITS,
    "ArgMin": TWO_LOGITS,
    "Div": f"move the factor into the gate's weights; its score is {GATE}",
    "Exp": f"a gate's score is {GATE}",
    "LogSoftmax": TWO_LOGITS,
    "Pow": f"a gate's score is {GATE}",
    "Softmax": TWO_LOGITS,
    "Softplus": f"a gate's score is {GATE}",
    "Sub": TWO_LOGITS,
    "Tanh": f"a gate's score is {GATE}",
    "TopK": "compare each score with a constant instead: Greater(score, constant); how many are "
    "kept then depends on the image",
    "Where": THRESHOLD,
}


def operator_hint(net: Net, node: OpNode) -> str:
    """What to do instead of a node's operator; "" if there is nothing to say."""
    if "." in node.op:
        return "export with the operators of ONNX itself"
    readers = _readers(net, node)
    vector = (
        math.prod(net.shapes.get(node.inputs[0], ())[2:]) <= MOST_LOGITS if node.inputs else False
    )
    if node.op in IN_A_GATE and vector and {"Mul", "Where"} & readers:
        return IN_A_GATE[node.op]
    if node.op in ("LogSoftmax", "Softmax") and {"Conv", "Gemm", "MatMul"} & readers:
        return ATTENTION
    return HINTS.get(node.op, "")


def _readers(net: Net, node: OpNode) -> set[str]:
    """The operators that read what a node makes, at once or later."""
    reached, found = set(node.outputs), set()
    for other in net.nodes:
        if reached.intersection(other.inputs):
            found.add(other.op)
            reached.update(other.outputs)
    return found
