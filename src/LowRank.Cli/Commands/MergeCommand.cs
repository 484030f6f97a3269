using System.CommandLine;
using LowRank.Adapters;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank merge</c>.</summary>
internal sealed class MergeCommand : ICliCommand
{
    public string Example => "lowrank merge --model models/base --adapter runs/quickstart/adapter --output merged";

    public Command Build()
    {
        var output = new Option<string>("--output") { Description = "The folder to make.", Required = true };
        var command = new Command("merge", "Merge an adapter into its base: a Hugging Face folder that any program loads, in the base's dtype, at the base's speed.") { output };
        ModelOptions model = new ModelOptions().AddTo(command, adapterRequired: true);
        return command.Does(parsed =>
        {
            string target = parsed.GetRequiredValue(output);
            if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any())
                throw new InputException($"{target} is not empty. Choose another --output, or remove it first.");
            using OpenedModel opened = model.Open(parsed);
            AdapterMerge.Write(opened.Model, opened.Adapter!, target);
            Console.WriteLine($"Merged {opened.Adapter!.Layers.Count} layers into {target}");
        });
    }
}
