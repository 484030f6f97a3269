namespace LowRank.Metrics;

/// <summary>How well one class was predicted; 0 where a share is not defined.</summary>
/// <param name="Precision">Share of its predictions that are right.</param>
/// <param name="Recall">Share of its true items that were found.</param>
/// <param name="F1">Their harmonic mean.</param>
/// <param name="Support">Its true items.</param>
public sealed record ClassScore(double Precision, double Recall, double F1, long Support)
{
    internal static ClassScore Of(long right, long predicted, long truth)
    {
        double precision = predicted == 0 ? 0 : (double)right / predicted, recall = truth == 0 ? 0 : (double)right / truth;
        return new ClassScore(precision, recall, predicted + truth == 0 ? 0 : 2.0 * right / (predicted + truth), truth);
    }
}
