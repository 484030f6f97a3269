using System.CommandLine;
using LowRank.Adapters;
using LowRank.Adapters.Operations;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using static TorchSharp.torch;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank extract</c>.</summary>
internal sealed class ExtractCommand : ICliCommand
{
    public string Example =>
        "lowrank extract --base models/base --tuned runs/full/model --rank 16 --output runs/extracted";

    public Command Build()
    {
        var before = new Option<string>("--base")
        {
            Description = "Folder of the model before tuning.",
            Required = true,
        };
        var after = new Option<string>("--tuned")
        {
            Description = "Folder of the same model, fully tuned.",
            Required = true,
        };
        var rank = new Option<int>("--rank") { Description = "Rank of the pairs.", Required = true };
        var targets = new Option<string[]>("--targets")
        {
            Description = "Names of modules. Default: every linear layer except the output head.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [],
        };
        var others = new Option<bool>("--save-others")
        {
            Description = "Save changed weights that no pair covers (embeddings, norms) in full, as modules_to_save.",
        };
        var output = new Option<string>("--output") { Description = "The folder to create.", Required = true };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: output, energy_kept, other_changes, and modules: name, rank_before, rank, " +
                "energy_kept.",
        };
        return new Command("extract",
            "Extract an adapter from a fully tuned model: for each layer, the pair of the given rank that is closest " +
            "to the change made by tuning.")
            { before, after, rank, targets, others, output, json }
            .Does(parsed =>
            {
                using var scope = NewDisposeScope();
                string[] names = parsed.GetRequiredValue(targets);
                ExtractedAdapter made = AdapterExtraction.Extract(
                    parsed.GetRequiredValue(before), parsed.GetRequiredValue(after), parsed.GetRequiredValue(rank),
                    names.Length == 0 ? null : ModuleSelection.Create(names), parsed.GetValue(others));
                made.Adapter.Write(parsed.GetRequiredValue(output));
                foreach (string note in made.Notes) Console.Error.WriteLine("note: " + note);
                if (made.OtherChanges.Count > 0 && !parsed.GetValue(others))
                {
                    string more = made.OtherChanges.Count > 5 ? ", …" : "";
                    Console.Error.WriteLine(
                        $"warning: tuning changed {made.OtherChanges.Count} weights that no pair covers: " +
                        $"{string.Join(", ", made.OtherChanges.Take(5))}{more}. They are not in the adapter; " +
                        "--save-others saves them in full.");
                }
                EnergyView.Show(made.Kept, parsed.GetRequiredValue(output), made.OtherChanges, parsed.GetValue(json));
            }, OptionUse.Always(before, after, rank, targets, others, output, json), OptionUse.AtLeast(rank, 1),
                OptionUse.There("a model's folder", parsed => [parsed.GetValue(before), parsed.GetValue(after)]));
    }
}
