using LowRank.Adapters;

namespace LowRank.Cli.Bench;

/// <summary>Adapted modules, as benchmarks' options name them.</summary>
internal static class BenchTargets
{
    /// <summary>The selection of some names: "all-linear" for all, none for the model type's default.</summary>
    public static ModuleSelection? Select(IReadOnlyList<string> names) => names switch
    {
        [] => null,
        [ModuleSelection.AllLinearText] => ModuleSelection.AllLinear,
        _ => ModuleSelection.Of(names),
    };
}
