#!/usr/bin/env python3
"""Draws the frames that stand for a camera's: make_frames.py FOLDER. Needs cjpeg (libjpeg-turbo-progs)."""

import math
import pathlib
import subprocess
import sys

WIDTH, HEIGHT, FRAMES = 320, 240, 12

folder = pathlib.Path(sys.argv[1])
for frame in range(FRAMES):
    angle = 2 * math.pi * frame / FRAMES
    x0, y0 = 160 + 90 * math.cos(angle), 120 + 70 * math.sin(angle)
    pixels = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            light = max(0, 1 - math.hypot(x - x0, y - y0) / 60)
            sky = y / HEIGHT
            pixels += bytes((int(30 + 60 * sky + 160 * light), int(60 + 70 * sky + 120 * light), int(120 - 40 * sky + 60 * light)))
    ppm = b"P6 %d %d 255\n" % (WIDTH, HEIGHT) + pixels
    jpeg = subprocess.run(["cjpeg", "-quality", "60"], input=ppm, stdout=subprocess.PIPE, check=True).stdout
    (folder / f"{frame:02}.jpg").write_bytes(jpeg)
