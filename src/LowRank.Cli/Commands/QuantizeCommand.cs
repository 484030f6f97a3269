using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Models;
using LowRank.Quantization;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank quantize</c>.</summary>
internal sealed class QuantizeCommand : ICliCommand
{
    public string Example => "lowrank quantize --model models/base --to nf4 --output runs/base-nf4";

    public Command Build()
    {
        string formats =
            string.Join(" or ", WeightFormats.All.Where(format => format.IsWritable).Select(format => format.Name));
        var model = new Option<string>("--model")
        {
            Description = "Folder of the model (config.json, safetensors weights).",
            Required = true,
        };
        var to = new Option<string>("--to")
        {
            Description = $"Target format: {formats}.",
            DefaultValueFactory = _ => "nf4",
        };
        var output = new Option<string>("--output") { Description = "The folder to create.", Required = true };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: output, format, weights, numbers, bytes (of the quantised weights), " +
                "bytes_per_weight, folder_bytes, folder_bytes_before.",
        };
        return new Command("quantize",
            "Quantise the weights of a model's linear layers and write them as bitsandbytes tensors, which " +
            "transformers can open. Holds only one weight at a time in float32.")
            { model, to, output, json }
            .Does(parsed =>
                Quantize(parsed.GetRequiredValue(model), parsed.GetRequiredValue(to), parsed.GetRequiredValue(output),
                parsed.GetValue(json)),
                OptionUse.Always(model, to, output, json), OptionUse.NewFolder(output),
                OptionUse.There("a model's folder", parsed => [parsed.GetValue(model)]),
                OptionUse.Values(
                    to, value => WeightFormats.Names.Contains(value)
                    && WeightFormats.Get(value) is { IsWritable: true }, formats));
    }

    private static void Quantize(string folder, string to, string target, bool json)
    {
        using PretrainedModel model = PretrainedModel.Open(folder, baseDtype: to);
        foreach (string note in model.Notes) Console.Error.WriteLine("note: " + note);
        QuantizedFolder.Write(model, target);
        IReadOnlyCollection<PackedWeight> packed = [.. model.Network.PackedWeights.Values];
        long numbers = packed.Sum(weight => weight.ElementCount), bytes = packed.Sum(weight => weight.Bytes);
        long before = ModelSummary.Read(folder).Bytes, after = ModelSummary.Read(target).Bytes;
        double each = Math.Round((double)bytes / numbers, 4);
        if (json)
            JsonOutput.Write(
                new
                {
                    output = target,
                    format = to,
                    weights = packed.Count,
                    numbers,
                    bytes,
                    bytes_per_weight = each,
                    folder_bytes = after,
                    folder_bytes_before = before,
                });
        else
            Console.WriteLine(
                $"Wrote {target}: {packed.Count} weights ({numbers:n0} numbers) in {to}, {each} bytes per weight; " +
                $"the folder's tensors take {after / 1e6:n1} MB, down from {before / 1e6:n1} MB.");
    }
}
