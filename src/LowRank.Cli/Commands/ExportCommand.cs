using System.CommandLine;
using LowRank.Adapters;
using LowRank.Adapters.Operations;
using LowRank.Cli.Common;
using LowRank.IO;
using LowRank.Models.Gguf;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank export</c>.</summary>
internal sealed class ExportCommand : ICliCommand
{
    private readonly ModelOptions model = new();
    private readonly Option<bool> separate = new("--separate")
    {
        Description =
            "Keep the adapter in a file of its own (ADAPTER), in float32, beside the base in --type. Default: it is " +
            "merged, which holds adapters of every kind, and the result gets --type. Ollama takes one such file, at " +
            "its full weight, and advises against a base other than the adapter's own: the more --type rounds the " +
            "base, the further it is from that.",
    };
    private readonly Option<string> type = new("--type")
    {
        Description = $"Type of the model's weights: {string.Join(", ", GgufModel.Types)}.",
        DefaultValueFactory = _ => "q4_k_m",
    };
    private readonly Option<string?> template = new("--template")
    {
        Description =
            "File with a template in Ollama's language (Go's). Default: the model's chat template, translated. One " +
            "whose translation would write other texts is refused.",
    };
    private readonly Option<string?> system = new("--system")
    {
        Description =
            "The system message of conversations without one. Default: that of the adapter's training rows, if it " +
            "was the same in all (data.template.system).",
    };
    private readonly Option<int?> context = new("--num-ctx")
    {
        Description = "How many tokens a conversation may have. Default: max_length of generation_config.json, or " +
            "Ollama's own.",
    };
    private readonly Option<string> output = new("--output") { Description = "The folder to create.", Required = true };

    public string Example =>
        "lowrank export ollama --model models/base --adapter runs/quickstart/adapter --output ollama";

    public Command Build()
    {
        var ollama = new Command("ollama",
            "Write a folder from which 'ollama create NAME -f Modelfile' makes a model: Modelfile, GGUF file, chat " +
            "template, parameters, licence.") { separate, type, template, system, context, output };
        model.AddTo(ollama);
        ollama.Does(Export,
        [
            OptionUse.Always(separate, type, template, system, context, output), OptionUse.NewFolder(output),
            OptionUse.Values(
                type, value => GgufModel.Types.Contains(value!), $"one of {string.Join(", ", GgufModel.Types)}"),
            OptionUse.AtLeast(context, 1),
            OptionUse.There("a file with a template", parsed => [parsed.GetValue(template)]),
            OptionUse.Rule(parsed => parsed.GetValue(separate) && model.AdaptersGiven(parsed) is not (1, false)
                ? ["--separate needs one adapter without a weight, as Ollama does; combine several first with " +
                    "'lowrank combine', or leave --separate out, and they are merged"]
                : []),
            .. model.UsesOfWeightsIf(IsMerged),
        ]);
        return new Command("export", "Write a model for another program.") { ollama };
    }

    private bool IsMerged(ParseResult parsed) => model.AdaptersGiven(parsed).Count > 0 && !parsed.GetValue(separate);

    private void Export(ParseResult parsed)
    {
        string target = parsed.GetRequiredValue(output);
        var options = new OllamaOptions
        {
            Type = parsed.GetRequiredValue(type),
            Template = parsed.GetValue(template) is { } file ? SmallFile.ReadText(file) : null,
            System = parsed.GetValue(system), ContextLength = parsed.GetValue(context),
        };
        IReadOnlyList<AdapterArgument> adapters = model.Adapters(parsed);
        IReadOnlyList<string> notes = IsMerged(parsed) ? Merged(parsed, adapters, target, options)
            : OllamaFolder.Write(
                model.Folder(parsed), adapters is [var one] ? one.Folder : null, target, options);
        foreach (string note in notes) Console.Error.WriteLine("note: " + note);
        Console.WriteLine(
            $"Wrote {target}. Make the model with 'ollama create NAME -f {Path.Combine(target, "Modelfile")}'.");
    }

    private IReadOnlyList<string> Merged(
        ParseResult parsed, IReadOnlyList<AdapterArgument> adapters, string target, OllamaOptions options)
    {
        using OpenedModel opened = model.Open(parsed, attach: false);
        parsed.Require(opened);
        (Adapter, double)[] weighted =
            [.. adapters.Select(given => (opened.Adapters[given.Folder], given.Weight))];
        return OllamaFolder.Write(opened.Model, weighted, target, options).Notes;
    }
}
