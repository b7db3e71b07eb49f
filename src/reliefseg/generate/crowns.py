"""Draws crowns of trees and shrubs: their habit, their leaves, the balls that stop the sun for others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from reliefseg.generate.canvas import Canvas, Stencil
from reliefseg.generate.light import Ball
from reliefseg.generate.noise import value_noise
from reliefseg.generate.objects import Habit, Tree
from reliefseg.generate.spectra import Material
from reliefseg.generate.streets import Pose

Plane = Float32[np.ndarray, "height width"]
SHRUB_M = 2.3
"""What grows lower is a shrub: low vegetation."""
CRUMB_M2 = 0.5
"""Smaller patches of a crown, between roofs or loose beside it, are not drawn, square metres."""
BOUGHS = 7
"""Large boughs of a bare tree."""
NO_TRUNK_ON = (Material.ASPHALT, Material.MARKING, Material.ROOF, Material.CAR, Material.CLUTTER, Material.WATER)


class Form(NamedTuple):
    """How a habit looks.

    The crown begins at `foot` of the tree's height. `boughs`, `clumps` and `leaves` are its relief at 2 m, 0.8 m and
    0.3 m, relative to its radius; `rays` (how many, how far) its fronds or whorls; below `gaps` deviations of the
    leaves there is a hole in it. `density` is how much sun a ball of radius 1 stops.
    """

    foot: float
    boughs: float
    clumps: float
    leaves: float
    density: float
    rays: tuple[int, float] = (0, 0.0)
    gaps: float = -9.0

    def without_leaves(self) -> Form:
        """The same crown in winter: finer, full of holes, hardly in the sun's way."""
        return self._replace(leaves=2 * self.leaves, clumps=1.5 * self.clumps, density=0.3 * self.density, gaps=-1.7)


FORMS = {
    Habit.ROUND: Form(0.16, 0.10, 0.06, 0.020, 1.5),
    Habit.DENSE: Form(0.12, 0.03, 0.04, 0.018, 2.2),
    Habit.AIRY: Form(0.20, 0.07, 0.08, 0.030, 0.8, gaps=-1.7),
    Habit.SPREADING: Form(0.20, 0.17, 0.05, 0.018, 1.3),
    Habit.COLUMN: Form(0.08, 0.04, 0.06, 0.020, 1.8),
    Habit.CONE: Form(0.08, 0.02, 0.03, 0.015, 1.8, rays=(11, 0.10)),
    Habit.PALM: Form(0.70, 0.02, 0.06, 0.050, 0.9, rays=(11, 0.22)),
    Habit.SHRUB: Form(0.0, 0.06, 0.06, 0.030, 1.5),
}


class Foliage(NamedTuple):
    """What the light must know of crowns: the surface without them, their balls, the grain of their leaves."""

    solid: Plane
    balls: list[Ball]
    grain: Plane


class Noise(NamedTuple):
    """Smooth random numbers for boughs, clumps of leaves and leaves."""

    boughs: Plane
    clumps: Plane
    leaves: Plane


def draw_crowns(canvas: Canvas, trees: list[Tree], rng: np.random.Generator) -> Foliage:
    """Draws all trees whose trunk stands on soil, lawn or pavement, without crumbs."""
    before = canvas.surface.copy(), canvas.material.copy(), canvas.albedo.copy()
    noise = Noise(*(value_noise(rng, canvas.shape, cell / canvas.gsd) for cell in (2.0, 0.8, 0.3)))
    grown = [tree for tree in trees if _can_grow(canvas, tree)]
    balls = [ball for tree in grown for ball in draw_tree(canvas, tree, noise)]
    _drop_crumbs(canvas, *before)
    return Foliage(before[0], balls, noise.clumps)


def _can_grow(canvas: Canvas, tree: Tree) -> bool:
    """Whether a tree's trunk stands on soil, lawn or pavement; those beside the canvas are left out."""
    if not canvas.holds(tree.down, tree.right):
        return False
    return canvas.material[canvas.pixel(tree.down, tree.right)] not in NO_TRUNK_ON


def draw_tree(canvas: Canvas, tree: Tree, noise: Noise) -> list[Ball]:
    """A crown with boughs and leaves, over whatever is lower; gives back what stops the sun in its stead."""
    reach, form = tree.radius * 1.4, FORMS[tree.habit].without_leaves() if tree.bare else FORMS[tree.habit]
    stencil = canvas.stencil(Pose(tree.down, tree.right, 0.0), reach, reach)
    if stencil is None:
        return []
    boughs, clumps, leaves = (plane[stencil.at] for plane in noise)
    relief = form.boughs * boughs + form.clumps * clumps + form.leaves * leaves
    out = _outwards(tree, form, stencil) * (1 - relief)
    base, middle, half = _heights(canvas, tree, form)
    rise = 1.0 - 2 * out if tree.habit is Habit.CONE else np.sqrt(np.maximum(0, 1 - out * out))
    elevation = (base + middle + half * rise + (0.7 * tree.radius) * relief).astype(np.float32)
    where = (out < 1) & (elevation > canvas.surface[stencil.at]) & (clumps + leaves > form.gaps)
    shade = np.maximum(0.5, 1 + 0.15 * leaves + 0.10 * clumps + form.boughs * boughs).astype(np.float32)
    hidden = _twigs(tree, stencil, out, clumps + leaves) if tree.bare else None
    canvas.paint(stencil, where, _material(tree), tree.spectrum, shade, hidden)
    canvas.lift(stencil, where, elevation)
    return _balls(tree, form, base, middle, half)


def _material(tree: Tree) -> Material:
    if tree.height <= SHRUB_M:
        return Material.HEDGE
    return Material.TWIGS if tree.bare else Material.CROWN


def _twigs(tree: Tree, stencil: Stencil, out: Plane, grain: Plane) -> Plane:
    """How much of what lies below a bare crown its twigs hide, 0 … 1: most along boughs and near the trunk."""
    bearing, (phase, _) = np.arctan2(stencil.across, stencil.along), tree.lobes
    boughs = np.maximum(0, np.cos(BOUGHS * bearing + phase + np.float32(0.8) * grain)) ** 6
    hidden = np.float32(0.45) + np.float32(0.15) * grain + np.float32(0.3) * boughs - np.float32(0.2) * out
    return np.clip(hidden, 0.15, 0.95).astype(np.float32)


def _outwards(tree: Tree, form: Form, stencil: Stencil) -> Plane:
    """How far out each pixel lies: 0 at the trunk, 1 at the crown's outline."""
    bearing, (phase, swing) = np.arctan2(stencil.across, stencil.along), tree.lobes
    outline = 1 + swing * (np.sin(3 * bearing + phase) + 0.6 * np.sin(5 * bearing - phase))
    count, far = form.rays
    if count:
        outline += far * np.cos(count * bearing + phase) - 0.5 * far
    return np.hypot(stencil.along, stencil.across) / (tree.radius * outline)


def _heights(canvas: Canvas, tree: Tree, form: Form) -> tuple[float, float, float]:
    """Elevation of the trunk's foot, the height of the crown's middle above it, half the crown's height, metres."""
    base = float(canvas.ground[canvas.pixel(tree.down, tree.right)])
    return base, tree.height * (1 + form.foot) / 2, tree.height * (1 - form.foot) / 2


def _balls(tree: Tree, form: Form, base: float, middle: float, half: float) -> list[Ball]:
    """One ball for a round crown; two for a cone, the upper one narrow."""
    if tree.habit is not Habit.CONE:
        return [Ball(tree.down, tree.right, base + middle, 0.95 * tree.radius, half, base, form.density)]
    parts = ((-0.45, 0.85, 0.5), (0.3, 0.4, 0.65))
    return [
        Ball(tree.down, tree.right, base + middle + up * half, wide * tree.radius, high * half, base, form.density)
        for up, wide, high in parts
    ]


def _drop_crumbs(canvas: Canvas, surface: Plane, material: np.ndarray, albedo: np.ndarray) -> None:
    """Puts back what was there before wherever a patch of crowns is smaller than `CRUMB_M2`."""
    patches, _ = ndimage.label(np.isin(canvas.material, (Material.CROWN, Material.TWIGS)))
    small = np.bincount(patches.ravel()) * canvas.gsd**2 < CRUMB_M2
    small[0] = False
    where = small[patches]
    np.copyto(canvas.surface, surface, where=where)
    np.copyto(canvas.material, material, where=where)
    np.copyto(canvas.albedo, albedo, where=where)
