"""What colouring pictures promises: luma kept, strength, mask, shape, order, sameness."""

import pytest
import torch
from colorizationnet.model import ColorizationNet, limited_threads
from colorizationnet.model.clean import clean
from colorizationnet.model.color import merge, rgb_to_chroma, rgb_to_luma
from colorizationnet.model.colorizationnet.restraint import restrain
from colorizationnet.options import ColorOptions
from colorizationnet.pipeline import colorize_images
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

SIDES = st.integers(1, 70)


@pytest.fixture(scope="module")
def vivid():
    """A network whose colours reach the border of the gamut."""
    torch.manual_seed(1)
    net = ColorizationNet().eval().requires_grad_(False)
    net.conv4.weight.mul_(20)
    return net


def colorize(network, images, mask=None, **options):
    return colorize_images(network, images, ColorOptions(**options), mask=mask)


def input_size(network, height, width, **options):
    return network.chroma_model(ColorOptions(**options)).input_size(height, width)


def calibrated(network, **metadata):
    """The same network whose file says so of it."""
    result = ColorizationNet().eval().requires_grad_(False)
    result.load_state_dict(network.state_dict())
    result.metadata = metadata
    return result


def luma_of(images):
    return rgb_to_luma(images.double().permute(0, 3, 1, 2))


def golden(net, images, size, saturation=1.0, strength=1.0):
    """The way of a frame, spelled out in float64 around the plain network."""
    luma = luma_of(images)
    small = interpolate(luma, size, mode="bicubic", antialias=True).clamp(0, 1)
    chroma = rgb_to_chroma(net.double()(small)) * saturation
    net.float()
    chroma = interpolate(chroma, luma.shape[2:], mode="bicubic", antialias=True)
    rgb = merge(luma, chroma).permute(0, 2, 3, 1)
    return images + strength * (rgb - images)


@settings(max_examples=25, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    batch=st.integers(1, 3),
    render_size=st.sampled_from([0, 1, 16, 31, 224]),
    quality=st.sampled_from(["best", "full", "fast"]),
    saturation=st.floats(0, 4),
    strength=st.floats(0, 1),
    masked=st.booleans(),
)
def test_luma_is_kept(vivid, height, width, batch, masked, **settings):
    images = torch.rand(batch, height, width, 3)
    mask = torch.rand(batch, height, width) if masked else None
    colored = colorize(vivid, images, mask, **settings)
    assert colored.shape == images.shape and colored.dtype == images.dtype
    assert (luma_of(colored) - luma_of(images)).abs().max() < 1e-5
    assert colored.min() >= -1e-6 and colored.max() <= 1 + 1e-6


@pytest.mark.parametrize(
    ("height", "width", "size"), [(90, 120, (32, 43)), (121, 75, (52, 32)), (20, 25, (20, 25))]
)
def test_the_way_of_a_frame(vivid, height, width, size):
    images = torch.rand(2, height, width, 3)
    settings = {"render_size": 32, "saturation": 0.7}
    expected = golden(vivid, images, size, 0.7, 0.8)
    assert input_size(vivid, height, width, **settings) == size
    found = colorize(vivid, images, strength=0.8, **settings)
    assert (found - expected).abs().max() < 1e-5


def test_best_is_the_mean_of_three_looks(vivid):
    images = torch.rand(1, 60, 80, 3)
    luma = luma_of(images)
    small = interpolate(luma, (28, 37), mode="bicubic", antialias=True).clamp(0, 1)
    looks = []
    for size in ((8, 11), (16, 21), (28, 37)):
        look = interpolate(small, size, mode="bicubic", antialias=True).clamp(0, 1)
        # Every second pixel of the dilated network is the undilated one.
        doubled = look.repeat_interleave(2, 2).repeat_interleave(2, 3)
        rgb = vivid.double()(doubled)[..., ::2, ::2]
        looks.append(interpolate(rgb, (28, 37), mode="bicubic", antialias=True))
    vivid.float()
    chroma = rgb_to_chroma(sum(looks) / 3)
    chroma = interpolate(chroma, luma.shape[2:], mode="bicubic", antialias=True)
    expected = merge(luma, chroma).permute(0, 2, 3, 1)
    settings = {"render_size": 24, "quality": "best"}
    assert input_size(vivid, 60, 80, **settings) == (28, 37)
    assert (colorize(vivid, images, **settings) - expected).abs().max() < 1e-5


def test_best_never_enlarges(vivid):
    images = torch.rand(1, 12, 16, 3)
    best, fast = ({"render_size": 36, "quality": quality} for quality in ("best", "fast"))
    assert input_size(vivid, 12, 16, **best) == input_size(vivid, 12, 16, **fast) == (6, 8)
    difference = colorize(vivid, images, **best) - colorize(vivid, images, **fast)
    assert difference.abs().max() < 1e-5


def test_strength_zero_is_the_input(vivid):
    images = torch.rand(2, 20, 30, 3)
    assert torch.equal(colorize(vivid, images, strength=0), images)


def test_mask_limits_where_colour_goes(vivid):
    images = torch.rand(2, 24, 30, 3)
    mask = torch.zeros(2, 24, 30)
    mask[0, :, 10:] = 1
    masked = colorize(vivid, images, mask, render_size=16)
    full = colorize(vivid, images, render_size=16)
    assert torch.equal(masked[0, :, :10], images[0, :, :10])
    assert torch.equal(masked[1], images[1])
    assert (masked[0, :, 10:] - full[0, :, 10:]).abs().max() < 1e-6


def test_one_mask_of_another_size_serves_all(vivid):
    images = torch.rand(3, 24, 30, 3)
    mask = torch.cat((torch.zeros(1, 12, 5), torch.ones(1, 12, 10)), dim=2)
    masked = colorize(vivid, images, mask, render_size=16)
    assert torch.equal(masked[:, :, :9], images[:, :, :9])
    assert (masked[:, :, 12:] - images[:, :, 12:]).abs().amax((1, 2, 3)).min() > 0.05


def test_a_coloured_picture_is_judged_by_its_luma(vivid):
    images = torch.rand(1, 40, 40, 3)
    grey = luma_of(images).float().permute(0, 2, 3, 1).expand(-1, -1, -1, 3)
    found, of_grey = (colorize(vivid, picture, render_size=32) for picture in (images, grey))
    assert (found - of_grey).abs().max() < 1e-5


@pytest.mark.parametrize("quality", ["best", "full", "fast"])
def test_batches_keep_count_and_order(vivid, quality):
    images = torch.rand(5, 33, 41, 3)
    settings = {"render_size": 20, "quality": quality}
    together = colorize(vivid, images, **settings)
    for index in range(5):
        alone = colorize(vivid, images[index : index + 1], **settings)[0]
        assert (together[index] - alone).abs().max() < 1e-5


def test_same_input_same_output(vivid):
    images = torch.rand(2, 50, 64, 3)
    first = colorize(vivid, images, render_size=32)
    assert torch.equal(first, colorize(vivid, images, render_size=32))


def test_network_mode_is_the_networks_own_rgb(vivid):
    images = torch.rand(2, 40, 52, 3)
    found = colorize(vivid, images, render_size=0, mode="network")
    expected = vivid(rgb_to_luma(images.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
    assert (found - expected).abs().max() < 1e-5


def test_the_weights_say_how_they_are_best_used(vivid):
    images = torch.rand(1, 40, 52, 3)
    chosen = colorize(vivid, images, render_size=24, saturation=1.5, quality="fast")
    plain = colorize(vivid, images, render_size=0, mode="network")
    asking = calibrated(vivid, render_size="24", saturation="1.5", quality="fast")
    assert torch.equal(colorize(asking, images), chosen)
    # The network's own output stays the whole network's.
    assert torch.equal(colorize(asking, images, render_size=0, mode="network"), plain)


def test_where_the_weights_say_best_a_film_is_looked_at_fast(vivid):
    asking = calibrated(vivid, render_size="24", quality="best")
    for quality, film, expected in (
        ("auto", False, "best"),
        ("auto", True, "fast"),
        ("best", True, "best"),
    ):
        plain = vivid.chroma_model(ColorOptions(render_size=24, quality=expected))
        model = asking.chroma_model(ColorOptions(quality=quality), film=film)
        assert model.input_size(40, 52) == plain.input_size(40, 52)
        luma = torch.rand(1, 1, *model.input_size(40, 52))
        # A look alone is less pale than the mean of three, for which the gain is.
        gain = 1.0 if expected == "best" else 0.9
        assert torch.equal(model.chroma(luma), plain.chroma(luma) * gain)


def test_half_precision_images_come_back_as_such(vivid):
    images = torch.rand(1, 40, 52, 3)
    found = colorize(vivid, images.half(), render_size=32)
    assert found.dtype == torch.float16
    expected = colorize(vivid, images.half().float(), render_size=32)
    assert (found.float() - expected).abs().max() < 1e-3


def test_works_on_tensors_made_under_inference_mode(vivid):
    with torch.inference_mode():
        images = torch.rand(1, 30, 30, 3)
        inside = colorize(vivid, images, render_size=16)
    assert torch.equal(colorize(vivid, images, render_size=16), inside)


@pytest.mark.parametrize("quality", ["full", "fast"])
def test_repeated_frames_count_as_often_as_they_come(vivid, quality):
    images = torch.rand(4, 33, 41, 3)[[0, 0, 0, 1, 2, 2, 0]]
    settings = {"render_size": 20, "quality": quality}
    expected = torch.cat([colorize(vivid, image[None], **settings) for image in images])
    assert (colorize(vivid, images, **settings) - expected).abs().max() < 1e-5


def test_progress_counts_every_image_and_shows_it(vivid):
    images = torch.rand(5, 30, 40, 3)
    heard = []
    result = colorize_images(
        vivid,
        images,
        ColorOptions(render_size=16),
        on_progress=lambda done, total, preview: heard.append((done, total, preview())),
    )
    assert [(done, total) for done, total, _ in heard] == [(n, 5) for n in range(1, 6)]
    previews = [preview for _, _, preview in heard]
    assert all(torch.equal(*pair) for pair in zip(previews, result.clamp(0, 1), strict=True))


@pytest.mark.parametrize("calls", [0, 3])
def test_a_check_can_end_the_work_also_within_a_long_picture(vivid, calls):
    class Cancelled(Exception):
        pass

    left = iter(range(calls))

    def check():
        if next(left, None) is None:
            raise Cancelled

    done = []
    with pytest.raises(Cancelled):
        colorize_images(
            vivid,
            torch.rand(1, 700, 700, 3),
            ColorOptions(render_size=0, precision="bf16"),
            check=check,
            on_progress=lambda *heard: done.append(heard),
        )
    assert not done


def test_a_check_is_heard_before_and_after_the_network(vivid):
    class Network:
        """A network that does not listen, and notes how often others have."""

        def chroma_model(self, options, device):
            model = vivid.chroma_model(options, device)
            chroma = model.chroma

            def deaf(luma, check=None):
                before.append(len(heard))
                return chroma(luma)

            model.chroma = deaf
            return model

    heard, before = [], []
    images = torch.rand(1, 1200, 1200, 3)
    options = ColorOptions(render_size=16)
    with limited_threads(1):  # else many pieces may be done between two calls
        colorize_images(Network(), images, options, check=lambda: heard.append(None))
    assert before[0] > 2 and len(heard) - before[0] > 3


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_pictures_get_colour_and_alpha_passes_through(vivid, channels):
    images = torch.rand(2, 20, 30, channels)
    found = colorize(vivid, images, render_size=16)
    rgb = images[..., :3].expand(-1, -1, -1, 3)
    assert torch.equal(found[..., :3], colorize(vivid, rgb.contiguous(), render_size=16))
    assert found.shape[-1] == max(3, channels)
    assert channels == 1 or torch.equal(found[..., 3], images[..., 3])


def test_bands_do_not_show(vivid, monkeypatch):
    images = torch.rand(1, 61, 83, 3)
    whole = colorize(vivid, images, render_size=20)
    monkeypatch.setattr("colorizationnet.pipeline.images.BAND", 7 * 83)
    assert (colorize(vivid, images, render_size=20) - whole).abs().max() < 1e-6


def test_the_input_is_left_alone(vivid):
    images = torch.rand(1, 30, 30, 3)
    before = images.clone()
    colorize(vivid, images, torch.rand(1, 30, 30), render_size=0)
    assert torch.equal(images, before)


def test_no_frames_come_back_as_no_frames(vivid):
    assert colorize(vivid, torch.zeros(0, 20, 30, 3)).shape == (0, 20, 30, 3)


@pytest.mark.parametrize("shape", [(1, 8, 8, 2), (1, 8, 8, 5), (8, 8, 3), (1, 3, 8, 8)])
def test_other_shapes_are_refused_by_name(vivid, shape):
    with pytest.raises(ValueError, match=r"\(batch, height, width, 3\)"):
        colorize(vivid, torch.zeros(shape))


def test_masks_that_do_not_match_are_refused(vivid):
    with pytest.raises(ValueError, match="2 masks for 3 images"):
        colorize(vivid, torch.zeros(3, 8, 8, 3), torch.zeros(2, 8, 8))


def test_what_weights_ask_for_is_cleaned_and_restrained(vivid):
    images = torch.rand(2, 40, 52, 3)
    luma = luma_of(images).float()
    plain = vivid.chroma_model(ColorOptions(render_size=0)).chroma(luma)
    asking = calibrated(vivid, saturation="2.0", tint="0.4", clean="yes")
    expected = 2 * restrain(clean(plain, luma), 0.4)
    found = asking.chroma_model(ColorOptions(render_size=0)).chroma(luma)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_vivid_restrains_half_as_much_and_is_stronger(vivid):
    images = torch.rand(1, 40, 52, 3)
    for tint, halved in ("0.4", "0.7"), ("1", "1"):
        found = colorize(calibrated(vivid, tint=tint), images, look="vivid")
        expected = colorize(calibrated(vivid, tint=halved), images, saturation=1.1)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_cleaned_colours_do_not_depend_on_the_batch(vivid):
    images = torch.rand(3, 60, 44, 3)
    asking = calibrated(vivid, render_size="32", tint="0.5", clean="yes")
    together = colorize(asking, images)
    for index in range(3):
        alone = colorize(asking, images[index : index + 1])
        assert (together[index] - alone[0]).abs().max() <= 1e-5
