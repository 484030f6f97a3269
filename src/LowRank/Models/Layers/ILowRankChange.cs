namespace LowRank.Models.Layers;

/// <summary>An adapter that may be no more than a <see cref="LowRankPair"/>: a training step then computes it together with the base.</summary>
public interface ILowRankChange : ISlotAdapter
{
    /// <summary>The pair; null where the adapter does anything besides.</summary>
    LowRankPair? Pair { get; }
}
