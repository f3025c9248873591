"""The whole way from Python, with a clip that is made here: run it as it is, or cell by cell in an editor.

It takes half a minute on one CPU core, and writes into the working folder.
"""

# %% A clip of two people whose layers are known. Yours begins with: video_people.prepare("my_video.mp4", clip)
import video_people

clip = video_people.make_sample("datasets/whole_way", frames=12, width=160, height=96, seed=3, overwrite=True)

# %% What is still missing of it is made: UV maps, drawn from its poses. Then everything is checked.
for finding in video_people.prepare(None, clip, steps=["uv"], uv="drawn"):
    print(finding.severity, finding.text)

# %% A draft needs no training; preset="fast", n_epochs=... or budget="15m" make better layers.
run = video_people.train(clip, name="whole_way", preset="draft", display_id=0)
print("a run, which may go on where it stopped:", run)

# %% Its layers: a straight-alpha PNG for each frame and person, and for the background.
results = video_people.export("whole_way")
print("layers of the first frame:", *sorted(path.name for path in results.glob("images/0001_rgba_*.png")))

# %% Person 1 stands still from frame 4 to 9, and person 2 comes three frames late.
edit = {"layers": {"1": {"time": [{"freeze": [4, 9]}]}, "2": {"time": [{"offset": 3}]}}}
print("retimed video:", video_people.retime(results / "retimed.mp4", name="whole_way", edit=edit))

# %% How good the layers are, as the true ones are known.
figures = video_people.evaluate(name="whole_way", no_lpips=True)["total"]
print(f"reconstruction: {figures['reconstruction']['psnr']:.1f} dB")

# %% Mistakes are exceptions that say in one line what to do.
try:
    video_people.export("whole_way", epochs=3)
except video_people.UserError as error:
    print("as expected:", error)
