"""A network as an ONNX model, which ONNX Runtime and many others run without minigan.

One node for each layer as it is in eval mode, in the order that `Sequential` calls them; initializers have the names of
`state_dict()`. The operators are those of ONNX's operator set 13 (2021), which nearly all tools know.
"""

import numpy as np

from minigan import __version__, conv, exchange, nn
from minigan.errors import UserError
from minigan.tensor import Tensor, no_grad

OPERATOR_SET, IR_VERSION = 13, 7  # the two belong together: ONNX 1.8


def model_content(network, name, input_name, input_shape, output_name, metadata):
    """The bytes of an ONNX file.

    network: a layer of `minigan.nn`, or a Sequential of them, on the CPU; it is put into eval mode. input_shape: of one
    input, without the batch, whose size is left open. metadata: {name: text}. Raises UserError for a layer that is
    none of `minigan.nn`, and where onnx is not installed.
    """
    onnx = exchange.library("onnx")
    helper, tensor_of = onnx.helper, onnx.numpy_helper.from_array
    network.eval()
    dtype = next((parameter.dtype for parameter in network.parameters()), np.float32)
    x = Tensor(np.zeros((1, *input_shape), dtype))
    element = helper.np_dtype_to_tensor_dtype(x.dtype)
    inputs = [helper.make_tensor_value_info(input_name, element, ["batch", *input_shape])]
    nodes, weights, previous = [], [], input_name
    layers = list(_layers(network))
    for position, (prefix, layer) in enumerate(layers):
        operator, attributes = _operator(layer)
        with no_grad():
            x = layer(x)  # for its shape
        # In the order of ONNX's inputs; a count of batches is none of them.
        arrays = {key: array for key, array in layer.named_state(prefix) if array.dtype.kind == "f"}
        if operator == "Reshape":
            arrays = {f"{prefix}shape": np.array([0, *x.shape[1:]], np.int64)}  # 0: as in the input
        output = output_name if position == len(layers) - 1 else f"{prefix}output"
        nodes.append(helper.make_node(operator, [previous, *arrays], [output], f"{prefix}{operator}", **attributes))
        weights += [tensor_of(np.array(array, order="C"), key) for key, array in arrays.items()]
        previous = output
    outputs = [helper.make_tensor_value_info(output_name, element, ["batch", *x.shape[1:]])]
    model = helper.make_model(
        helper.make_graph(nodes, name, inputs, outputs, weights),
        producer_name="minigan",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPERATOR_SET)],
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _layers(module, prefix=""):
    """(prefix of its names, layer) in the order they are called."""
    if type(module) is nn.Sequential:
        for name, child in module._modules.items():
            yield from _layers(child, f"{prefix}{name}.")
    else:
        yield prefix, module


def _operator(layer):
    """(the operator's name, its attributes) for a layer in eval mode."""
    kind = type(layer)  # not isinstance: a subclass may do something else
    if kind is nn.Linear:
        return "Gemm", {"transB": 1}
    if kind is nn.Conv2d:
        return "Conv", _geometry(layer)
    if kind is nn.ConvTranspose2d:
        return "ConvTranspose", {
            **_geometry(layer),
            "output_padding": np.broadcast_to(layer.output_padding, 2).tolist(),
        }
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d):
        return "BatchNormalization", {"epsilon": layer.eps}
    if kind is nn.ReLU:
        return "Relu", {}
    if kind is nn.LeakyReLU:
        return "LeakyRelu", {"alpha": layer.negative_slope}
    if kind is nn.Tanh or kind is nn.Sigmoid:
        return kind.__name__, {}
    if kind is nn.Dropout:
        return "Identity", {}
    if kind is nn.Flatten and layer.start_dim != 0 or kind is nn.Unflatten and layer.dim != 0:
        return "Reshape", {}
    raise UserError(f"ONNX has no operator for {layer!r}: use layers of minigan.nn, or export to .safetensors or .npz")


def _geometry(layer):
    stride, (left, right, top, bottom), dilation = conv.make_geometry(layer.stride, layer.padding, layer.dilation)
    return {"strides": stride, "pads": (top, left, bottom, right), "dilations": dilation}
