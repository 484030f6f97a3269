using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank logits</c>.</summary>
internal sealed class LogitsCommand : ICliCommand
{
    public string Example =>
        "lowrank logits --model models/base --input tokens.safetensors --output logits.safetensors";

    public Command Build()
    {
        var input = new Option<string>("--input")
        {
            Description =
                "A safetensors file with input_ids [B,T]; attention_mask [B,T] if there is padding, token_type_ids " +
                "[B,T] for pairs, decoder_input_ids [B,U] for t5.",
            Required = true,
        };
        var output = new Option<string>("--output")
        {
            Description =
                "The safetensors file to write, or - for standard output: logits, float32 ([B,T,V]; [B,labels] for a " +
                "classifier; hidden_states [B,T,H] for a model without a head).",
            Required = true,
        };
        var command = new Command("logits", "Compute the logits of given tokens, to compare with other programs.")
            { input, output };
        ModelOptions model = new ModelOptions().AddTo(command);
        return command.Does(
            parsed =>
            {
                string from = parsed.GetRequiredValue(input), to = parsed.GetRequiredValue(output);
                Compute(model, parsed, from, OutputFile.Of("--output", to, [from, .. model.Inputs(parsed)]));
            },
            [
                OptionUse.Always(input, output),
                OptionUse.There("a safetensors file", parsed => [parsed.GetValue(input)]), .. model.Uses,
            ]);
    }

    private static void Compute(ModelOptions options, ParseResult parsed, string input, OutputFile output)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using SafeTensorsFile file = SafeTensorsFile.Open(input);
        if (!file.Entries.ContainsKey("input_ids"))
            throw new InputException(
                $"{input} has the tensors {string.Join(", ", file.Entries.Keys)}; expected input_ids [B,T].");
        Tensor ids = Whole(file, input, "input_ids", null);
        Tensor? mask = file.Entries.ContainsKey("attention_mask")
            ? Whole(file, input, "attention_mask", ids.shape) : null;
        using OpenedModel opened = options.Open(parsed);
        int vocabulary = opened.Model.Network.VocabularySize;
        long least = ids.min().item<long>(), most = ids.max().item<long>();
        if (least < 0 || most >= vocabulary)
            throw new InputException(
                $"{input}: input_ids has {(least < 0 ? least : most)}, expected 0 to {vocabulary - 1}, the model's " +
                "vocabulary.");
        Device device = opened.Model.Network.Device;
        Tensor? types = file.Entries.ContainsKey("token_type_ids")
            ? Whole(file, input, "token_type_ids", ids.shape) : null;
        var batch = new ModelInput(ids.to(device), mask?.to(device), types?.to(device));
        if (opened.Model.Network is EncoderDecoder pair)
        {
            if (!file.Entries.ContainsKey("decoder_input_ids"))
                throw new InputException(
                    $"{input} has no decoder_input_ids [B,U], which a {opened.Model.Config.ModelType} model needs " +
                    "beside input_ids.");
            Tensor targets = Whole(file, input, "decoder_input_ids", null).to(device);
            Write(output, "logits", () => pair.Forward(batch, targets), opened.Model, null);
            return;
        }
        ISequenceNetwork network = opened.Model.Sequence;
        if (network.Head is null)
            Write(output, "hidden_states", () => network.States(batch), opened.Model, batch.AttentionMask);
        else Write(output, "logits", () => network.Scores(batch), opened.Model, batch.AttentionMask);
    }

    private static void Write(
        OutputFile output, string name, Func<Tensor> compute, PretrainedModel model, Tensor? mask)
    {
        Tensor made = compute();
        // Values at padding are meaningless and may be NaN: a token that attends to nothing has no attention.
        Tensor read = mask is not null && made.dim() == 3 ? made.masked_fill((mask == 0).unsqueeze(-1), 0) : made;
        model.RequireFinite(read, name, () => compute());
        output.Write(stream =>
            SafeTensorsWriter.WriteTo(stream, output.ToString(), [KeyValuePair.Create(name, made.cpu())]));
    }

    private static Tensor Whole(SafeTensorsFile file, string path, string name, long[]? shape)
    {
        SafeTensorsEntry entry = file.Entries[name];
        bool wholeNumbers = entry.Type is ScalarType.Int64 or ScalarType.Int32 or ScalarType.Byte or ScalarType.Bool;
        bool fits = shape is null ? entry.Shape is [> 0, > 0] : entry.Shape.SequenceEqual(shape);
        if (!wholeNumbers || !fits)
            throw new InputException(
                $"{path}: {name} is {entry.Type} [{string.Join(", ", entry.Shape)}], expected whole numbers " +
                (shape is null ? "[B, T] with at least one token" : $"[{string.Join(", ", shape)}], as input_ids"));
        return file.Map(name).to(ScalarType.Int64);
    }
}
