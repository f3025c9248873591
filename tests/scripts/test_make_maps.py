import shutil

import numpy as np
import pytest

from preparation import actor_maps
from scripts import make_normal_maps, make_texture_maps
from tests.golden_actor import GOLDEN, figures
from util.errors import UserError
from util.images import read_image


@pytest.fixture
def actor(tmp_path):
    """The golden folder's dataroot without maps."""
    folder = tmp_path / "actor"
    shutil.copytree(GOLDEN / "dataroot", folder, ignore=shutil.ignore_patterns("tex", "normal"))
    return folder


SIZE = ("--tex-resolution", str(figures("maps.pt")["resolution"]))


def test_normal_maps_are_made_by_several_processes_and_made_again_only_when_asked_for(actor, monkeypatch):
    monkeypatch.setattr(actor_maps, "FRAMES_FOR_A_PROCESS", 1)
    arguments = ["--dataroot", str(actor), *SIZE, "--workers", "2"]
    make_normal_maps.main(arguments)
    interior = figures("maps.pt")["interior"].numpy()
    files = sorted((actor / "normal").iterdir())
    assert [path.name for path in files] == [path.name.replace("json", "png")
                                             for path in sorted((actor / "transform").iterdir())]
    for path in files:
        theirs = read_image(GOLDEN / "dataroot/normal" / path.name, "RGB")
        assert np.abs(read_image(path, "RGB").astype(int) - theirs)[interior].max() <= 1
    renamed = files[0].rename(files[0].with_name(f"frame_{files[0].name}"))  # the published tool's names count too
    files[1].unlink()
    before = renamed.stat().st_mtime_ns
    make_normal_maps.main(arguments)
    assert {path.name for path in (actor / "normal").iterdir()} == {renamed.name, *(path.name for path in files[1:])}
    assert renamed.stat().st_mtime_ns == before
    make_normal_maps.main([*arguments, "--overwrite"])
    assert renamed.stat().st_mtime_ns > before


def test_normal_maps_by_the_published_options(actor, tmp_path):
    make_normal_maps.main(["--mesh", str(actor / "canonical.obj"), "--weights", str(actor / "skinning_weight.txt"),
                           "--texuv", str(actor / "uvmapping.obj"), "--joint-data", str(actor / "transform"),
                           *SIZE, "--output-path", str(tmp_path / "out")])
    assert len(list((tmp_path / "out").iterdir())) == len(list((actor / "transform").iterdir()))
    with pytest.raises(UserError, match="--dataroot: not given, nor --mesh"):
        make_normal_maps.main(["--output_path", str(tmp_path / "out")])


def test_textures_are_made_of_the_photographs_of_the_cameras_asked_for(actor):
    found = figures("maps.pt")
    case, covered = found["bake"], found["covered"].numpy()
    for kind in ("intrinsic", "pose", "rgb"):
        shutil.rmtree(actor / kind)
        (actor / kind).mkdir()
    transforms = sorted((actor / "transform").iterdir())
    for number, path in enumerate(transforms):
        if number != case["frame"]:
            path.unlink()
    folder = actor / "rgb" / transforms[case["frame"]].stem
    folder.mkdir()
    for number, (photo, pose) in enumerate(zip(case["photos"], case["camera_to_world"])):
        shutil.copy(GOLDEN / photo, folder / f"{number:04d}.png")
        np.savetxt(actor / "intrinsic" / f"{number:04d}.txt", case["intrinsics"].numpy())
        np.savetxt(actor / "pose" / f"{number:04d}.txt", pose.numpy())
    arguments = ["--dataroot", str(actor), *SIZE]
    make_texture_maps.main(arguments)
    path, = (actor / "tex").iterdir()
    theirs, whole = read_image(GOLDEN / case["baked"], "RGB"), read_image(path, "RGB")
    assert psnr(whole[covered], theirs[covered]) > 24
    make_texture_maps.main([*arguments, "--views", "0..2", "--overwrite"])
    assert psnr(read_image(path, "RGB")[covered], theirs[covered]) < psnr(whole[covered], theirs[covered])
    with pytest.raises(UserError, match="--views: found '99'"):
        make_texture_maps.main(["--dataroot", str(actor), "--views", "99"])
    (folder / "0000.png").unlink()  # one camera less: the others keep their numbers
    make_texture_maps.main([*arguments, "--views", f"1..{len(case['photos'])}", "--overwrite"])
    assert psnr(read_image(path, "RGB")[covered], theirs[covered]) > 15
    with pytest.raises(UserError, match="no picture of any camera"):
        make_texture_maps.main([*arguments, "--views", "0", "--overwrite"])
    shutil.rmtree(folder)
    (actor / "rgb" / "000999").mkdir()
    with pytest.raises(UserError, match="no folder of photographs has its number"):
        make_texture_maps.main([*arguments, "--views", "0", "--overwrite"])


def psnr(found, expected):
    return -10 * np.log10(np.square(found.astype(float) - expected).mean() / 255**2)
