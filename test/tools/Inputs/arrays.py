"""Writes q, k, v (and wrong ones) as .npy into the current folder."""
import numpy as np

r = np.random.default_rng(0)
for name, shape in dict(q=(2, 3, 20, 8), k=(2, 3, 20, 8), v=(2, 3, 20, 5)).items():
    np.save(name + ".npy", r.standard_normal(shape).astype("f4"))
np.save("wide.npy", np.load("q.npy").astype("f8"))
np.save("transposed.npy", np.asfortranarray(np.load("q.npy")))
np.save("int.npy", np.zeros((2, 3, 20, 8), "i4"))
np.save("rank.npy", np.zeros((2, 3, 20), "f4"))
np.save("short.npy", np.zeros((2, 3, 19, 8), "f4"))
np.save("x.npy", np.arange(4).astype("f4"))
np.save("p.npy", np.array([0, -1, 3, 2]))
np.save("far.npy", np.array([0, -1, 4, 2]))
with open("cut.npy", "wb") as f:
    f.write(open("q.npy", "rb").read()[:300])
