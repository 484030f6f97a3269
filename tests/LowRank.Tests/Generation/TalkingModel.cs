using System.Text.Json.Nodes;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tests.Models;
using LowRank.Tokenizers;

namespace LowRank.Tests.Generation;

/// <summary>A very small model of random weights with a tokenizer of bytes and the tokens of ChatML.</summary>
internal sealed class TalkingModel : IDisposable
{
    private static readonly string[] Special = ["<|im_start|>", "<|im_end|>"];
    private readonly TinyModel tiny;

    public TalkingModel(
        int maxPositions = 512, string? template = null, string[]? special = null, int? hidden = null,
        string architecture = TinyModel.Llama)
    {
        string config =
            TinyModel.With(TinyModel.With(architecture, "vocab_size", 258), "max_position_embeddings", maxPositions);
        if (hidden is { } width)
            config = TinyModel.With(TinyModel.With(config, "hidden_size", width), "intermediate_size", 2 * width);
        tiny = new TinyModel(TinyModel.With(config, "initializer_range", 0.5));
        File.WriteAllText(
            System.IO.Path.Combine(tiny.Path, "tokenizer.json"),
            BytePairTrainer.Train(["a b c"], 256 + (special ?? Special).Length, special ?? Special));
        if (template is not null) File.WriteAllText(System.IO.Path.Combine(tiny.Path, "chat_template.jinja"), template);
        Tokenizer = Tokenizer.Load(tiny.Path);
    }

    public string Path => tiny.Path;

    public Tokenizer Tokenizer { get; }

    public PretrainedModel Model => tiny.Model;

    public TextGenerator Generator => new(tiny.Model.Decoder);

    public Conversation Talk(IChatFormat? format = null, JsonArray? tools = null) =>
        new(tiny.Model.Decoder, Tokenizer, format ?? ChatFormats.ForTalking(Tokenizer), tools);

    /// <summary>Writes the weights, so that the folder can be opened.</summary>
    public TalkingModel Save()
    {
        tiny.Save();
        return this;
    }

    public void Dispose() => tiny.Dispose();
}
