namespace LowRank.Adapters;

/// <summary>A change of the embedding that a tied output head shares.</summary>
public interface ITiedLayer : IAdapterLayer
{
    /// <summary>Whether it only follows another layer's change of the same weight.</summary>
    bool Follows { get; }
}
