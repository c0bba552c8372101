# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The accelerator
# On a PYNQ board this runs the hardware; without pynq, its simulation. `POPBIN_PACKAGE` names the `deploy` folder of another build.

# %%
import os
import sys

import matplotlib.pyplot as plt
import numpy as np

sys.path.append("../..")  # the driver, if this notebook lies in the unpacked deploy.zip
from deploy import Accelerator, measure, scores

accelerator = Accelerator()
package, simulated = accelerator.package, accelerator.platform.simulated
milliseconds = 1 / (accelerator.platform.clock_mhz * 1e3)  # of a cycle

print(f"{package.model} {package.strategy}, voter {package.voter}, build {package.build_id}")
print(f"for {package.target} at {accelerator.platform.clock_mhz:g} MHz")
if simulated:
    print(f"platform sim: times are cycles of the simulated hardware at {package.clock_mhz:g} MHz, nothing was measured on a board")
else:
    print("platform board: times were measured on this board")
if not package.has("samples.npz"):
    raise SystemExit(f"The package has no sample images of {package.image}: give your own to accelerator.execute(images).")

# %% [markdown]
# ## Images

# %%
images, labels, golden = package.samples()
total = len(images)
images, labels, golden = (array[: 24 if simulated else total] for array in (images, labels, golden))
logits = accelerator.execute(images)
classes = scores.classes(logits, package.tail)
names = dict(enumerate(package.labels))  # may be empty: then the number is the name

figure, axes = plt.subplots(2, 6, figsize=(10, 4.2))
for axis in axes.flat:
    axis.axis("off")
for axis, image, label, found in zip(axes.flat, images, labels, classes):
    axis.imshow(image)
    verdict, color = ("right", "k") if found == label else ("wrong", "r")
    axis.set_title(f"label {names.get(label, label)}\nclass {names.get(found, found)}: {verdict}", size=7, color=color)

# %% [markdown]
# ## Accuracy

# %%
mismatches = int((logits != golden).sum())
print(f"{len(images)} of the package's {total} sample images: top-1 {100 * np.mean(classes == labels):.2f} %")
print(f"{logits.size} logits compared with the golden ones: {mismatches} mismatches")
assert mismatches == 0

# %% [markdown]
# ## Latency of single frames

# %%
frames = measure.single_frames(accelerator, 3 if simulated else 1000)
cycles = frames.pop("accelerator[cycles]")
frames = {"accelerator[ms]": [count * milliseconds for count in cycles], **frames}
print(f"{len(cycles)} frames, one after the other, {min(cycles)} to {max(cycles)} cycles")
for name, values in frames.items():
    print(f"{name:16}", *(f"{rank} {value:.3f}" for rank, value in measure.spread(values).items()))

name, values = list(frames.items())[-1]
plt.figure(figsize=(7, 2.5))
plt.hist(values, bins=np.linspace(0.98 * min(values), 1.02 * max(values), 41))
plt.xlabel(name)
plt.ylabel("frames");

# %% [markdown]
# ## Throughput

# %%
result = measure.throughput_test(accelerator, 8 if simulated else 1000)
interval = result["interval[cycles]"]
rate = result["throughput[images/s]"]
print(f"{result['batch_size']} images in one call: {rate:.2f} images/s, with filling and emptying the pipeline")
print(f"steady: {1e3 / (interval * milliseconds):.2f} images/s, one every {interval:,} cycles; {package.cycles_per_frame:,} were planned")

# %% [markdown]
# In the cycles of this call a layer was busy (a beat left it), stalled (its consumer was not ready) or starved its consumer (no beat).
# To starve it is not to idle: most layers work many cycles for a beat. Layers in front of the slowest stall, the others starve.

# %%
layers = result["layers"]
figure, axis = plt.subplots(figsize=(10, 0.6 + 0.22 * len(layers)))
start = np.zeros(len(layers))
for state, color in ("busy", "tab:green"), ("stall", "tab:orange"), ("starve", "lightgray"):
    length = [counters[state] for counters in layers.values()]
    axis.barh(list(layers), length, left=start, label=state, color=color)
    start += length
axis.invert_yaxis()
axis.set_xlabel(f"cycles of {result['batch_size']} frames")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))

slowest = next((name for name in layers if layers[name]["stall"] < 0.05 * start.max()), "the reader of the logits")
print(f"slowest: {slowest}, the first that waits for its consumer in less than 5 % of the cycles")

# %% [markdown]
# ## The processor
# The same integers in numpy (`deploy.network`).

# %%
runs = [measure.cpu(package, min(8, total)) for _ in range(3)]
processor = max(runs, key=lambda run: run["throughput[images/s]"])
assert processor["mismatches"] == 0
processor_rate = processor["throughput[images/s]"]
print(f"processor ({processor['processor']}, {processor['cores']} cores, load {os.getloadavg()[0]:.1f}): ", end="")
print(f"{processor_rate:.2f} images/s, measured, best of {len(runs)}")
print(f"accelerator: {rate:.2f} images/s, {rate / processor_rate:.1f} times as many")
if simulated:
    print(f"This compares cycles of simulated hardware at {package.clock_mhz:g} MHz with the measured time of this machine's processor,")
    print("not of an Arm core.")

# %%
accelerator.close()
