namespace LowRank.Adapters.Operations;

/// <summary>How much of a change a smaller pair holds.</summary>
/// <param name="Path">The module.</param>
/// <param name="RankBefore">The rank it had; of a whole weight, the most it can have.</param>
/// <param name="Rank">The rank it has.</param>
/// <param name="Whole">Σσ² of the change.</param>
/// <param name="Held">Σσ² of what is kept.</param>
public sealed record KeptEnergy(string Path, int RankBefore, int Rank, double Whole, double Held)
{
    /// <summary>The share of Σσ² that is kept; 1 where there is no change.</summary>
    public double Share => Whole == 0 ? 1 : Held / Whole;
}
