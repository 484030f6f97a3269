using System.CommandLine;
using LowRank.Adapters.Operations;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using static TorchSharp.torch;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank diff</c>.</summary>
internal sealed class DiffCommand : ICliCommand
{
    public string Example => "lowrank diff runs/a/adapter runs/b/adapter";

    public Command Build()
    {
        var first = new Argument<string>("first") { Description = "Folder of a LoRA adapter." };
        var second = new Argument<string>("second") { Description = "Folder of another LoRA adapter." };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: settings (key, first, second) and modules (name, ranks, norms, distance, " +
                "cosine, overlap).",
        };
        return new Command("diff",
            "Compare two adapters: their settings, and for each module the size of both changes and of their " +
            "difference, the cosine between them, and how much their input spaces overlap.")
            { first, second, json }
            .Does(parsed =>
            {
                using var scope = NewDisposeScope();
                AdapterDifference difference = AdapterDifference.From(
                    AdapterArgument.Read(parsed.GetRequiredValue(first)),
                    AdapterArgument.Read(parsed.GetRequiredValue(second)));
                if (parsed.GetValue(json)) JsonOutput.Write(DifferenceView.Json(difference));
                else Screen.Write(DifferenceView.Table(difference));
            }, OptionUse.Always(json),
                OptionUse.There("an adapter's folder", parsed => [parsed.GetValue(first), parsed.GetValue(second)]));
    }
}
