using System.CommandLine;
using LowRank.Adapters.Combining;
using LowRank.Adapters.Files;
using LowRank.Cli.Common;
using static TorchSharp.torch;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank combine</c>.</summary>
internal sealed class CombineCommand : ICliCommand
{
    public string Example =>
        "lowrank combine --adapter runs/a/adapter:0.7 --adapter runs/b/adapter:0.4 --kind cat --output runs/mixed";

    public Command Build()
    {
        var adapters = new Option<string[]>("--adapter")
        {
            Description = "Folder of a LoRA adapter, followed by :WEIGHT. Give two or more.",
            Required = true,
        };
        var kind = new Option<string>("--kind")
        {
            Description = $"How to combine: {string.Join(", ", AdapterCombination.Kinds)}.",
            Required = true,
        };
        var density = new Option<double?>("--density")
        {
            Description = "Share of the values to keep, for ties, dare and magnitude_prune.",
        };
        var rank = new Option<int?>("--rank")
        {
            Description = "Rank of the result, for kinds with svd. Default: the largest of the ranks.",
        };
        var seed = new Option<long>("--seed")
        {
            Description = "Random seed for the values that dare drops.",
            DefaultValueFactory = _ => 42,
        };
        var sign = new Option<string>("--majority-sign")
        {
            Description = "How ties elects signs. total: the sign of the sum; frequency: the sign of the majority.",
            DefaultValueFactory = _ => "total",
        };
        var once = new Option<bool>("--scale-once")
        {
            Description =
                "Apply each adapter's scale once in kinds with svd. Without this option the scale counts twice, as " +
                "in PEFT.",
        };
        var output = new Option<string>("--output") { Description = "The folder to create.", Required = true };
        return new Command("combine",
            "Combine several adapters into one, without their base. cat is exactly the weighted sum of their " +
            "changes. linear, ties, dare and magnitude_prune merge the A matrices and the B matrices separately; " +
            "with _svd they merge the changes and decompose them into a pair of the given rank.")
            { adapters, kind, density, rank, seed, sign, once, output }
            .Does(parsed => Combine(
                [.. parsed.GetRequiredValue(adapters).Select(AdapterArgument.Parse)], parsed.GetRequiredValue(kind),
                new CombineOptions
                {
                    Density = parsed.GetValue(density), Rank = parsed.GetValue(rank), Seed = parsed.GetValue(seed),
                    SignByFrequency = parsed.GetValue(sign) == "frequency", ScaleOnce = parsed.GetValue(once),
                },
                parsed.GetRequiredValue(output)),
                OptionUse.Always(adapters, kind, output),
                OptionUse.There("an adapter's folder", parsed =>
                    (parsed.GetValue(adapters) ?? []).Select(text => AdapterArgument.Parse(text).Folder)),
                OptionUse.Values(kind, AdapterCombination.Kinds.Contains,
                    $"one of {string.Join(", ", AdapterCombination.Kinds)}"),
                OptionUse.Values(sign, value => value is "total" or "frequency", "total or frequency"),
                Unused(density, nameof(CombineOptions.Density), "which keeps all values; remove it"),
                Unused(rank, nameof(CombineOptions.Rank),
                    "whose rank follows from the adapters; remove it, or choose a kind with svd"),
                Unused(once, nameof(CombineOptions.ScaleOnce), "which applies each scale once; remove it"),
                Unused(seed, nameof(CombineOptions.Seed),
                    "which draws nothing at random; remove it, or choose a kind with dare"),
                Unused(sign, nameof(CombineOptions.SignByFrequency),
                    "which elects no signs; remove it, or choose a kind with ties"));

        OptionUse Unused(Option option, string name, string why) => OptionUse.Unless(option, parsed =>
            parsed.GetValue(kind) is { } given && AdapterCombination.Kinds.Contains(given)
            && !AdapterCombination.Uses(given, name) ? $"has no effect with --kind {given}, {why}" : null);
    }

    private static void Combine(
        IReadOnlyList<AdapterArgument> arguments, string kind, CombineOptions options, string output)
    {
        using var scope = NewDisposeScope();
        List<(LoraFolder Adapter, double Weight)> given =
            [.. arguments.Select(argument => (AdapterArgument.Read(argument.Folder), argument.Weight))];
        LoraFolder combined = AdapterCombination.Combine(given, kind, options);
        if (given.Select(one => one.Adapter.Base?.BaseSha).OfType<string>().Distinct().Count() > 1)
            Console.Error.WriteLine(
                "warning: the adapters were trained on different bases (base_sha in their lowrank_base.json). The " +
                "sum of changes to different weights does not combine what they learned.");
        combined.Write(output);
        Console.WriteLine(
            $"Combined {given.Count} adapters ({kind}) into rank {combined.Modules.Max(module => module.Rank)} on " +
            $"{combined.Modules.Count} modules: {output}");
    }
}
