"""The 17 joints of a COCO skeleton: names, numbers and bones. "Left" is the person's left.

Pairs are lists (left, right), so that they index an array of joints.
"""

NAMES = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow",
    "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle",
    "right ankle",
)
JOINTS = len(NAMES)
NOSE, EYES, EARS = 0, [1, 2], [3, 4]
SHOULDERS, ELBOWS, WRISTS = [5, 6], [7, 8], [9, 10]
HIPS, KNEES, ANKLES = [11, 12], [13, 14], [15, 16]
BONES = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (11, 12), (11, 13), (13, 15), (12, 14),
    (14, 16), (6, 12), (5, 11),
)
