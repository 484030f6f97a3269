using System.CommandLine;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using static TorchSharp.torch;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank resize</c>.</summary>
internal sealed class ResizeCommand : ICliCommand
{
    public string Example => "lowrank resize runs/quickstart/adapter --rank 4 --output runs/small";

    public Command Build()
    {
        var path = new Argument<string>("adapter") { Description = "Folder of a LoRA adapter." };
        var rank = new Option<int>("--rank") { Description = "The new rank.", Required = true };
        var output = new Option<string>("--output") { Description = "The folder to create.", Required = true };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: output, energy_kept, and modules: name, rank_before, rank, energy_kept.",
        };
        return new Command("resize",
            "Change an adapter's rank by singular value decomposition: each change gets the closest pair of the new " +
            "rank. Shows how much of its energy Σσ² is kept.")
            { path, rank, output, json }
            .Does(parsed =>
            {
                using var scope = NewDisposeScope();
                (LoraFolder resized, IReadOnlyList<KeptEnergy> kept) =
                    AdapterResize.Resize(
                        AdapterArgument.Read(parsed.GetRequiredValue(path)), parsed.GetRequiredValue(rank));
                resized.Write(parsed.GetRequiredValue(output));
                EnergyView.Show(kept, parsed.GetRequiredValue(output), [], parsed.GetValue(json));
            }, OptionUse.Always(rank, output, json), OptionUse.AtLeast(rank, 1),
                OptionUse.There("an adapter's folder", parsed => [parsed.GetValue(path)]));
    }
}
