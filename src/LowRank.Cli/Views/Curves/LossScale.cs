namespace LowRank.Cli.Views.Curves;

/// <summary>Where a loss lies between the lowest and the highest one. Where they are far apart, on a logarithmic scale: the course at the end of a run would be flat otherwise.</summary>
/// <param name="Lowest">Lies at the bottom.</param>
/// <param name="Highest">Lies at the top.</param>
internal sealed record LossScale(double Lowest, double Highest)
{
    private const double FarApart = 8;

    public bool IsLogarithmic => Lowest > 0 && Highest / Lowest > FarApart;

    /// <summary>The scale of all losses.</summary>
    public static LossScale Of(IReadOnlyCollection<double> losses) => new(losses.Min(), losses.Max());

    /// <summary>0 at the bottom to 1 at the top; the middle where all losses are equal.</summary>
    public double Share(double loss) => Highest == Lowest ? 0.5
        : IsLogarithmic ? Math.Log(loss / Lowest) / Math.Log(Highest / Lowest) : (loss - Lowest) / (Highest - Lowest);

    /// <summary>The loss at a height from 0 to 1.</summary>
    public double At(double share) => IsLogarithmic ? Lowest * Math.Pow(Highest / Lowest, share) : Lowest + (Highest - Lowest) * share;
}
