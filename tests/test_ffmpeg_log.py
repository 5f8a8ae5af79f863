"""What is read from ffmpeg's log, also where lines of two threads run together."""

from colorizationnet.video.ffmpeg_log import FfmpegLog

FRAME = (
    "[Parsed_showinfo_0 @ 0x1] [info] n:   0 pts:      0 pts_time:0       duration:    512 "
    "duration_time:0.04 fmt:yuv420p cl:left sar:1/1 s:64x48 i:P iskey:1 type:I"
)
COLOR = (
    "[Parsed_showinfo_0 @ 0x1] [info] color_range:tv color_space:smpte170m "
    "color_primaries:bt2020 color_trc:{}"
)


def test_a_line_that_follows_without_a_break_is_no_part_of_a_name():
    log = FfmpegLog()
    log.read(FRAME)
    log.read(COLOR.format("arib-std-b67") + "DTS 1200 < 1400 out of order")
    assert log.color == ("tv", "smpte170m", "bt2020", "arib-std-b67")


def test_unknown_tags_are_none_there_too():
    log = FfmpegLog()
    log.read(FRAME)
    log.read(COLOR.format("unknown") + "DTS 1200 < 1400 out of order")
    assert log.color == ("tv", "smpte170m", "bt2020", None)
