"""The sides: each makes of (work, q, k, v) a call, or says why it cannot. No side takes a fallback: what it calls is named."""
import os

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


class CannotError(Exception):
    """This side has no kernel for it."""


class Attnc:
    name = "attnc"

    def __init__(self, library):
        self.library = library

    def call(self, work, q, k, v):
        params = {"W": work.window} if work.window else {"cap": work.cap} if work.cap else {}
        kernel = self.library.compiled(os.path.join(HERE, "attention.attn"), work.kind, params)
        tensors = dict(q=q, k=k, v=v)
        if work.doc is not None:
            tensors["doc"] = work.doc[None].contiguous()
        if work.prefix:
            tensors["prefix"] = torch.tensor([work.prefix], dtype=torch.int32)
        run, outputs = kernel.bind(tensors)
        return lambda: run()["o"]


def dense_bias(work, dtype):
    """What is added to the scores, for sides that know masks only so."""
    mask, bias = work.mask(), None
    if work.slopes is not None:
        i, j = torch.arange(work.queries)[:, None], torch.arange(work.keys)[None, :]
        bias = -work.slopes[:, None, None] * (i - j)
    if mask is not None:
        bias = torch.where(mask, torch.zeros(()) if bias is None else bias, -torch.inf)
    return None if bias is None else bias.to(dtype)[(None,) * (4 - bias.dim())]


class Sdpa:
    """scaled_dot_product_attention, its flash kernel alone."""
    name = "SDPA"

    def call(self, work, q, k, v):
        from torch.nn.attention import SDPBackend, sdpa_kernel
        if work.cap:
            raise CannotError("no softcap")
        plain = work.causal and work.slopes is None
        mask = None if plain else dense_bias(work, q.dtype)
        grouped = work.heads != work.groups

        def run():
            with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=plain,
                                                                        enable_gqa=grouped)
        return run


class Flex:
    """flex_attention, compiled; its block mask is made before."""
    name = "FlexAttention"

    def call(self, work, q, k, v):
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention
        torch._dynamo.reset()
        score, blocks = None, None
        if work.slopes is not None:
            slopes = work.slopes
            score = lambda s, b, h, i, j: s - slopes[h] * (i - j)  # noqa: E731
        if work.cap:
            cap = work.cap
            score = lambda s, b, h, i, j: cap * torch.tanh(s / cap)  # noqa: E731
        if work.kind not in ("full", "decode"):
            blocks = create_block_mask(lambda b, h, i, j: work.keeps(i, j), None, None, work.queries, work.keys,
                                       device="cpu")
        compiled = torch.compile(flex_attention, fullgraph=True)
        grouped = work.heads != work.groups
        return lambda: compiled(q, k, v, score_mod=score, block_mask=blocks, enable_gqa=grouped)


class OnnxRuntime:
    """The operator Attention of ONNX (opset 23)."""
    name = "ONNX Runtime"

    def __init__(self, threads):
        import onnxruntime
        self.ort = onnxruntime
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def call(self, work, q, k, v):
        from onnx import TensorProto, helper
        if q.dtype != torch.float32:
            raise CannotError("no bf16 on the CPU")
        plain = work.causal and work.slopes is None
        mask = None if plain else dense_bias(work, q.dtype)
        names = ["q", "k", "v"] + (["mask"] if mask is not None else [])
        values = dict(q=q, k=k, v=v, mask=mask)
        infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(values[n].shape)) for n in names]
        out = helper.make_tensor_value_info("o", TensorProto.FLOAT, list(q.shape))
        attributes = dict(is_causal=int(plain), **({"softcap": work.cap} if work.cap else {}))
        node = helper.make_node("Attention", names, ["o"], **attributes)
        model = helper.make_model(helper.make_graph([node], "g", infos, [out]),
                                  opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
        session = self.ort.InferenceSession(model.SerializeToString(), self.options, providers=["CPUExecutionProvider"])
        feeds = {n: values[n].numpy() for n in names}
        return lambda: torch.from_numpy(session.run(None, feeds)[0])


class Jax:
    """jax.nn.dot_product_attention, jitted."""
    name = "JAX"

    def __init__(self):
        import jax
        self.jax = jax

    def call(self, work, q, k, v):
        jax = self.jax
        if work.cap:
            raise CannotError("no softcap")
        as_jax = lambda t: jax.numpy.array(t.float().numpy(), dtype=str(t.dtype).split(".")[1])  # noqa: E731
        # Batch, length, heads, dim.
        a, b, c = (as_jax(t.transpose(1, 2).contiguous()) for t in (q, k, v))
        more = {}
        if work.causal:
            more["is_causal"] = True
        elif work.mask() is not None:
            more["mask"] = jax.numpy.array(work.mask().numpy())[None, None]
        if work.slopes is not None:
            i, j = torch.arange(work.queries)[:, None], torch.arange(work.keys)[None, :]
            more["bias"] = as_jax((-work.slopes[:, None, None] * (i - j)).to(q.dtype))[None]
        run = jax.jit(lambda a, b, c: jax.nn.dot_product_attention(a, b, c, **more))
        done = run(a, b, c).block_until_ready()
        del done

        def call():
            return run(a, b, c).block_until_ready()

        call.result = lambda r: torch.tensor(__import__("numpy").asarray(r.astype("float32"))).transpose(1, 2)
        return call


def available(library, threads):
    """The sides that are installed, attnc first, and those that are not, with the reason."""
    sides, missing = [Attnc(library), Sdpa(), Flex()], []
    for make in (lambda: OnnxRuntime(threads), Jax):
        try:
            sides.append(make())
        except ImportError as problem:
            missing.append(str(problem))
    return sides, missing
