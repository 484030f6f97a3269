using System.CommandLine;
using LowRank.Adapters;
using LowRank.Adapters.Operations;
using LowRank.Cli.Common;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank convert</c>.</summary>
internal sealed class ConvertCommand : ICliCommand
{
    public string Example => "lowrank convert runs/quickstart/adapter --to mlx --model models/base --output runs/mlx";

    public Command Build()
    {
        var path = new Argument<string>("adapter")
        {
            Description = "Folder of an adapter in the format of PEFT or mlx-lm.",
        };
        var to = new Option<string>("--to") { Description = "Target format: mlx or peft.", Required = true };
        var model = new Option<string>("--model") { Description = "Folder of the base model.", Required = true };
        var output = new Option<string>("--output") { Description = "The folder to create.", Required = true };
        return new Command("convert", "Convert an adapter from PEFT's format to mlx-lm's, or back.")
            { path, to, model, output }
            .Does(parsed =>
            {
                string target = parsed.GetRequiredValue(output), format = parsed.GetRequiredValue(to);
                if (format == "mlx")
                {
                    foreach (string warning in AdapterConfig.Load(parsed.GetRequiredValue(path)).Warnings)
                        Console.Error.WriteLine("warning: " + warning);
                    MlxFolder.FromPeft(parsed.GetRequiredValue(path), parsed.GetRequiredValue(model), target);
                }
                else
                {
                    foreach (string note in MlxFolder.ToPeft(
                        parsed.GetRequiredValue(path), parsed.GetRequiredValue(model), target))
                        Console.Error.WriteLine("note: " + note);
                }
                Console.WriteLine($"Wrote {target}");
            }, OptionUse.Always(to, model, output),
                OptionUse.Values(to, value => value is "mlx" or "peft", "mlx or peft"), OptionUse.NewFolder(output),
                OptionUse.There("an adapter's folder", parsed => [parsed.GetValue(path)]),
                OptionUse.There("a model's folder", parsed => [parsed.GetValue(model)]));
    }
}
