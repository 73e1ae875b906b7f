"""How the things that stand on the ground look: lists of shapes, back to front."""

from __future__ import annotations

from .shapes import arc, box, hoop, oval, poly, wedge

HOUSE = [
    box("deep", 70, 10, 82, 40),
    box("main", 12, 44, 88, 100),
    poly("deep", 50, 4, 100, 50, 0, 50),
    box("wood", 41, 68, 59, 100),
    box("lamp", 20, 60, 35, 76), box("lamp", 65, 60, 80, 76),
]
TREE = [
    box("wood", 42, 60, 58, 100),
    oval("main", 26, 47, 24, 22), oval("main", 74, 47, 24, 22), oval("main", 50, 32, 34, 32),
    oval("tint", 38, 24, 12, 9),
]
MOUNTAIN = [
    poly("main", 50, 6, 112, 100, -12, 100),
    poly("deep", 50, 6, 112, 100, 62, 100, 54, 60, 60, 40),
    poly("snow", 50, 6, 69, 35, 59, 31, 51, 40, 42, 31, 31, 35),
]
BOAT = [
    box("wood", 46, 4, 51, 66),
    poly("main", 54, 8, 96, 58, 54, 58),
    poly("cream", 43, 16, 43, 58, 12, 58),
    poly("main", 0, 64, 100, 64, 82, 98, 18, 98),
    poly("deep", 0, 64, 100, 64, 96, 72, 4, 72),
]
FLOWER = [
    box("leaf", 47, 55, 53, 100),
    poly("leaf", 50, 92, 76, 72, 84, 80, 66, 94), poly("leaf", 50, 92, 24, 72, 16, 80, 34, 94),
    *[oval("main", 50 + dx, 34 + dy, 17) for dx, dy in ((0, -19), (19, -6), (12, 16), (-12, 16), (-19, -6))],
    oval("pip", 50, 34, 13),
]
CAT = [
    poly("main", 70, 96, 98, 92, 102, 66, 94, 62, 88, 80, 68, 82),
    oval("main", 50, 74, 27, 26),
    poly("main", 24, 34, 22, 2, 46, 18), poly("main", 76, 34, 78, 2, 54, 18),
    poly("rose", 29, 22, 27, 10, 38, 17), poly("rose", 71, 22, 73, 10, 62, 17),
    oval("main", 50, 34, 30, 24),
    oval("tint", 50, 80, 13, 16),
    oval("eye", 38, 31, 4.5, 6), oval("eye", 62, 31, 4.5, 6),
    poly("rose", 45, 40, 55, 40, 50, 46),
]
DOG = [
    poly("main", 86, 52, 106, 26, 112, 32, 98, 64),
    box("main", 34, 70, 46, 100), box("main", 80, 70, 92, 100),
    oval("main", 64, 62, 34, 20),
    oval("main", 32, 36, 25, 23), oval("main", 12, 44, 17, 11),
    oval("deep", 48, 42, 9, 22),
    oval("ink", -1, 38, 6, 5), oval("eye", 26, 30, 4.5, 5.5),
    poly("rose", 32, 56, 52, 60, 50, 67, 31, 62),
]
DUCK = [
    poly("main", 76, 60, 108, 42, 100, 74),
    oval("main", 58, 70, 40, 27),
    oval("main", 30, 32, 23),
    poly("main", 22, 46, 44, 42, 52, 60, 24, 66),
    poly("beak", 10, 30, -14, 38, 10, 44),
    wedge("deep", 64, 62, 24, 20, 0, 180),
    oval("eye", 25, 27, 4, 5),
]
CAR = [
    poly("main", 22, 52, 36, 24, 78, 24, 94, 52),
    poly("main", -6, 54, 2, 48, 104, 48, 114, 60, 114, 84, -6, 84),
    poly("glass", 30, 48, 40, 30, 54, 30, 54, 48), poly("glass", 59, 48, 59, 30, 75, 30, 85, 48),
    box("deep", -6, 74, 114, 84), box("lamp", 106, 58, 114, 66),
    oval("ink", 22, 84, 16), oval("ink", 86, 84, 16), oval("steel", 22, 84, 7), oval("steel", 86, 84, 7),
]
BUS = [
    box("main", -6, 12, 106, 88),
    *[box("glass", x, 24, x + 19, 48) for x in (2, 27, 52)],
    box("glass", 80, 24, 100, 82),
    box("cream", -6, 56, 76, 63), box("deep", -6, 80, 76, 88),
    oval("ink", 18, 88, 13), oval("ink", 68, 88, 13), oval("steel", 18, 88, 6), oval("steel", 68, 88, 6),
]
MUSHROOM = [
    poly("cream", 36, 48, 64, 48, 70, 100, 30, 100),
    wedge("main", 50, 56, 52, 54, 180, 360),
    oval("snow", 50, 20, 9, 8), oval("snow", 24, 38, 8), oval("snow", 76, 38, 8), oval("snow", 50, 46, 6, 5),
]
UMBRELLA = [
    box("wood", 47, 2, 53, 88),
    poly("wood", 47, 86, *arc(40, 88, 13, 12, 0, 180, 8), 33, 88, *arc(40, 88, 7, 6, 180, 0, 8)),
    wedge("main", 50, 54, 56, 46, 180, 360),
    poly("deep", 50, 8, 68, 24, 70, 54, 30, 54, 32, 24),
    poly("tint", 50, 8, 56, 24, 57, 54, 43, 54, 44, 24),
]
CASTLE = [
    box("main", 16, 44, 84, 100),
    box("main", 0, 24, 28, 100), box("main", 72, 24, 100, 100),
    poly("deep", 14, -6, 34, 26, -6, 26), poly("deep", 86, -6, 106, 26, 66, 26),
    *[box("main", x, 34, x + 10, 46) for x in (30, 45, 60)],
    poly("wood", 38, 100, *arc(50, 76, 12, 14, 180, 360, 8), 62, 100),
    box("lamp", 9, 40, 19, 56), box("lamp", 81, 40, 91, 56),
]
TENT = [
    poly("main", 50, 8, 108, 100, -8, 100),
    poly("deep", 50, 8, 108, 100, 78, 100),
    poly("cream", 50, 34, 70, 100, 30, 100),
    poly("ink", 50, 46, 64, 100, 36, 100),
]
APPLE = [
    poly("wood", 47, 30, 50, 4, 57, 6, 54, 30),
    poly("leaf", 54, 18, 66, 4, 84, 6, 74, 20),
    oval("main", 34, 60, 30, 37), oval("main", 66, 60, 30, 37), oval("main", 50, 66, 30, 33),
    oval("tint", 25, 48, 8, 12),
]
CUP = [
    hoop("main", 84, 58, 22, 12),
    poly("main", 8, 28, 86, 28, 78, 100, 16, 100),
    oval("deep", 47, 28, 39, 10), oval("wood", 47, 29, 31, 6.5),
    poly("tint", 16, 48, 26, 48, 31, 90, 22, 90),
]
SNOWMAN = [
    oval("main", 50, 76, 32, 27), oval("main", 50, 40, 23, 21),
    box("ink", 30, 14, 70, 20), box("ink", 36, -8, 64, 16),
    oval("eye", 42, 34, 3.5), oval("eye", 58, 34, 3.5),
    poly("beak", 48, 39, 48, 46, 26, 45),
    box("rose", 31, 53, 69, 61), box("rose", 60, 56, 69, 76),
    oval("eye", 50, 72, 3.5), oval("eye", 50, 86, 3.5),
]
BELL = [
    oval("deep", 50, 92, 11, 9),
    hoop("deep", 50, 6, 11, 5),
    poly("main", *arc(50, 42, 29, 32, 180, 360), 82, 66, 98, 88, 2, 88, 18, 66),
    poly("deep", 12, 76, 88, 76, 98, 88, 2, 88),
    poly("tint", 30, 30, 38, 26, 36, 66, 26, 66),
]
HAT = [
    oval("main", 50, 84, 56, 14),
    poly("main", 20, 22, 80, 22, 76, 82, 24, 82),
    poly("pip", 22.5, 60, 77.5, 60, 76, 78, 24, 78),
    oval("deep", 50, 22, 30, 8),
]
CHAIR = [
    box("deep", 22, 4, 32, 62), box("deep", 68, 4, 78, 62),
    box("main", 22, 8, 78, 30), box("main", 22, 38, 78, 48),
    box("main", 16, 58, 84, 72),
    box("deep", 18, 72, 28, 100), box("deep", 72, 72, 82, 100),
]
RABBIT = [
    oval("snow", 86, 84, 10),
    oval("main", 56, 76, 32, 24),
    oval("main", 32, 12, 8, 24), oval("main", 50, 12, 8, 24),
    oval("rose", 32, 12, 3.5, 16), oval("rose", 50, 12, 3.5, 16),
    oval("main", 40, 46, 23, 20),
    oval("tint", 56, 84, 14, 12),
    oval("eye", 32, 42, 4, 5), oval("eye", 49, 42, 4, 5),
    poly("rose", 36, 50, 45, 50, 40.5, 55),
]
