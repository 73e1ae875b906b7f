"""How flying things, free things and plain shapes look: lists of shapes, back to front."""

from __future__ import annotations

from .shapes import arc, box, heart, hoop, oval, poly, star

SUN = [star("main", 50, 50, 56, 38, 12), oval("main", 50, 50, 35), oval("tint", 50, 50, 26)]
MOON = [
    oval("main", 50, 50, 46),
    oval("deep", 34, 34, 10), oval("deep", 66, 46, 7), oval("deep", 44, 70, 12, 10), oval("deep", 64, 22, 5),
]
CRESCENT = [poly("main", *arc(50, 50, 48, 48, 65, 295, 28), *arc(74, 50, 40, 44, 266, 94, 22))]
CLOUD = [
    oval("main", 18, 60, 24, 20), oval("main", 84, 60, 24, 20), oval("main", 36, 42, 26), oval("main", 66, 38, 29),
    box("main", 18, 52, 84, 80),
    oval("tint", 62, 28, 13, 8),
]
STAR = [star("main", 50, 53, 54, 25, 5), star("tint", 50, 53, 24, 11, 5)]
BIRD = [
    poly("deep", 78, 50, 112, 34, 108, 60),
    oval("main", 54, 56, 36, 25), oval("main", 26, 36, 21),
    poly("beak", 8, 30, -16, 38, 8, 44),
    poly("deep", 44, 52, 86, 50, 92, 4, 60, 18),
    oval("eye", 22, 32, 4, 5),
]
BUTTERFLY = [
    poly("ink", 48, 26, 34, 4, 37, 2, 52, 26), poly("ink", 52, 26, 66, 4, 63, 2, 48, 26),
    oval("main", 22, 34, 28, 25), oval("main", 78, 34, 28, 25),
    oval("main", 28, 74, 22, 20), oval("main", 72, 74, 22, 20),
    oval("tint", 18, 34, 12), oval("tint", 82, 34, 12), oval("tint", 26, 75, 9), oval("tint", 74, 75, 9),
    oval("ink", 50, 54, 6, 32),
]
BALLOON = [
    poly("ink", 48.8, 76, 51.2, 76, 55, 90, 51, 112, 48.6, 112, 52, 90),
    poly("deep", 50, 68, 59, 82, 41, 82),
    oval("main", 50, 36, 36, 39),
    oval("tint", 36, 24, 9, 13),
]
KITE = [
    poly("ink", 48, 88, 52, 88, 62, 100, 52, 114, 49, 114, 58, 100),
    poly("main", 50, -2, 92, 38, 50, 92, 8, 38),
    poly("deep", 50, -2, 92, 38, 50, 38), poly("deep", 8, 38, 50, 38, 50, 92),
    poly("pip", 57, 98, 72, 92, 72, 106), poly("pip", 57, 98, 44, 92, 44, 106),
]
ROCKET = [
    poly("flame", 36, 80, 64, 80, 50, 114), poly("lamp", 42, 80, 58, 80, 50, 98),
    poly("deep", 30, 50, 6, 86, 32, 82), poly("deep", 70, 50, 94, 86, 68, 82),
    poly("main", 50, -10, 66, 12, 72, 40, 70, 64, 64, 84, 36, 84, 30, 64, 28, 40, 34, 12),
    poly("deep", 50, -10, 66, 12, 67, 16, 33, 16, 34, 12),
    oval("cream", 50, 40, 14), oval("glass", 50, 40, 10),
]
FISH = [
    poly("deep", 76, 50, 110, 22, 102, 50, 110, 78),
    poly("deep", 30, 30, 50, 8, 66, 32), poly("deep", 44, 70, 58, 88, 62, 68),
    oval("main", 44, 50, 42, 28),
    poly("tint", *arc(30, 50, 12, 25, -80, 80, 8), *arc(22, 50, 12, 25, 80, -80, 8)),
    oval("snow", 18, 42, 7), oval("ink", 17, 42, 4),
]
HEART = [heart("main", 50, 50, 104), oval("tint", 26, 30, 9, 8)]

CIRCLE = [oval("main", 50, 50, 48)]
SQUARE = [box("main", 5, 5, 95, 95)]
TRIANGLE = [poly("main", 50, 2, 104, 96, -4, 96)]
DIAMOND = [poly("main", 50, -6, 96, 50, 50, 106, 4, 50)]
RING = [hoop("main", 50, 50, 50, 27)]
CROSS = [poly("main", 34, 0, 66, 0, 66, 34, 100, 34, 100, 66, 66, 66, 66, 100, 34, 100, 34, 66, 0, 66, 0, 34, 34, 34)]
