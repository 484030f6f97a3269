namespace LowRank.Models;

/// <summary>What a family's configs call the rotary keys, and their values where they are missing.</summary>
/// <param name="Theta">The base of the frequencies.</param>
/// <param name="ThetaKey">Its key outside rope_parameters.</param>
/// <param name="Partial">Share of a head that is rotated.</param>
/// <param name="PartialKey">Its key outside rope_parameters.</param>
/// <param name="IsPartial">Whether the family rotates a share of a head: transformers 5.12's others pass over it.</param>
internal sealed record RopeDefaults(double Theta = 10_000, string ThetaKey = "rope_theta", double Partial = 1, string PartialKey = "partial_rotary_factor",
    bool IsPartial = false);
