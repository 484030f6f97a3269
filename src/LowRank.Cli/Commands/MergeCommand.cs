using System.CommandLine;
using LowRank.Adapters;
using LowRank.Models;
using LowRank.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank merge</c>.</summary>
internal sealed class MergeCommand : ICliCommand
{
    public string Example => "lowrank merge --model models/base --adapter runs/quickstart/adapter --output merged";

    public Command Build()
    {
        var output = new Option<string>("--output") { Description = "The folder to make.", Required = true };
        var check = new Option<string?>("--check") { Description = "A text: computes its logits with the adapters and with the merged folder, and prints how far apart they are." };
        var command = new Command("merge", "Merge adapters into their base: a Hugging Face folder that any program loads, in the base's dtype, at the base's speed. "
            + "Several adapters, each with its weight, are added one after the other; computed in float32.") { output, check };
        ModelOptions model = new ModelOptions().AddTo(command, adapterRequired: true);
        return command.Does(parsed =>
        {
            string target = parsed.GetRequiredValue(output);
            if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any())
                throw new InputException($"{target} is not empty. Choose another --output, or remove it first.");
            using OpenedModel opened = model.Open(parsed, attach: false);
            ModelInput? text = parsed.GetValue(check) is { } given ? Tokens(opened, given) : null;
            IReadOnlyList<AdapterArgument> adapters = model.Adapters(parsed);
            AdapterMerge.Write(opened.Model, [.. adapters.Select(argument => new WeightedAdapter(opened.Adapters[argument.Folder], argument.Weight))], target);
            int layers = adapters.SelectMany(argument => opened.Adapters[argument.Folder].Parts.OfType<AdaptedModule>().Select(module => module.Site.Path)).Distinct().Count();
            Console.WriteLine($"Merged {(adapters.Count == 1 ? "" : $"{adapters.Count} adapters into ")}{layers} layers: {target}");
            if (text is not null) Compare(opened, adapters, target, text);
        });
    }

    private static ModelInput Tokens(OpenedModel opened, string text)
    {
        if (opened.Model.Network is not ISequenceNetwork) throw new InputException("--check works with decoders and encoders; leave it out for a model that turns one text into another.");
        int[] ids = [.. opened.RequireTokenizer().Encode(text)];
        if (ids.Length == 0) throw new InputException("--check: the text has no token. Give a longer one.");
        return new ModelInput(tensor(ids.Select(id => (long)id).ToArray()).view(1, -1));
    }

    private static void Compare(OpenedModel opened, IReadOnlyList<AdapterArgument> adapters, string target, ModelInput text)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        opened.Adapters.Activate([.. adapters.Select(argument => (argument.Folder, argument.Weight))]);
        Tensor before = opened.Model.Sequence.Scores(new ModelInput(text.Tokens.to(opened.Model.Network.Device))).cpu();
        using PretrainedModel merged = PretrainedModel.Open(target, CPU, head: new HeadRequest(opened.Model.Network.HeadKind, (int)before.shape[^1]));
        Tensor after = merged.Sequence.Scores(text);
        long same = before.argmax(-1).eq(after.argmax(-1)).sum().item<long>();
        Console.WriteLine($"Checked {text.Tokens.shape[1]} tokens: the logits of the merged folder deviate by {(before - after).abs().max().item<float>():g3} at most " +
            $"(the largest logit is {before.abs().max().item<float>():g3}); the likeliest is the same for {same} of {before.numel() / before.shape[^1]}.");
    }
}
