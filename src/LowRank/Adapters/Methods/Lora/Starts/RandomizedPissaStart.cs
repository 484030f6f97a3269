using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora.Starts;

/// <summary>PiSSA with a randomised decomposition (Halko, Martinsson and Tropp, arXiv 0909.4061, algorithm 5.1 with
/// subspace iteration): "pissa_niter_N" takes N iterations; some percent of the exact one's time.</summary>
internal sealed class RandomizedPissaStart : ILoraStart
{
    private const string Prefix = "pissa_niter_";

    public string Name => "pissa_niter_N";

    public bool TakesFromBase => true;

    /// <remarks>The directions depend on random numbers that a saved adapter does not hold.</remarks>
    public bool CanRepeat => false;

    public bool Is(string name) => name.StartsWith(Prefix, StringComparison.Ordinal)
        && int.TryParse(name[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out _);

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        int iterations = int.Parse(build.Config.InitialWeights.Name[Prefix.Length..], CultureInfo.InvariantCulture);
        return build.Targets.ToDictionary(target => target.Path, target =>
        {
            using var scope = NewDisposeScope(); // one layer's decomposition at a time
            (Tensor u, Tensor values, Tensor vh) = LeadingDirections.Of(build.Sites[target.Path].Matrix, target.Rank, iterations, build.Random);
            return PissaStart.Pair(u, values, vh, target).MoveToOuterDisposeScope();
        });
    }
}
