using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Data.Rows;
using LowRank.Data.Streaming;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Predicting the next token with a decoder: texts, completions of prompts, conversations.</summary>
/// <remarks>Rows: see <see cref="Data.ExampleLoader"/>.</remarks>
internal sealed class CausalLanguageModelKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => TaskRegistry.Default;

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = [];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family is DecoderFamily;

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 0;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        settings.Preference is { } preference ? new PreferenceTask(model, tokenizer, settings, preference)
        : new CausalLanguageModelTask(model, tokenizer, settings);
}

/// <summary>Causal language modelling on a decoder.</summary>
internal sealed class CausalLanguageModelTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings)
    : IGeneratingTask, IStreamingTask
{
    private readonly CausalObjective objective = new(model.Decoder, settings.Batching);

    private readonly TextGenerator generator = new(model.Decoder);

    /// <summary>How rows become examples.</summary>
    internal ExampleOptions Options => new()
    {
        VocabularySize = Network.VocabularySize,
        MaxLength = Math.Min(settings.MaxLength, Network.MaxPositions),
        TrainOn = settings.TrainOn,
    };

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public IRowArranger Arranger => objective.Arranger;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        LoadedExamples loaded = settings.Cache is { } cache ? cache.Load(source, tokenizer, Options)
            : ExampleLoader.Load(source, tokenizer, Options);
        string[] told = loaded.TurnsToldBy is { } by ? ["only the assistant's turns are learned, recognised by " +
            $"{by}."] : [];
        string[] padded = objective.Obstacle(loaded.Summary) is { } obstacle ? [obstacle] : [];
        return new TaskData(loaded.Examples,
            [.. loaded.Notes, .. told.Concat(padded).Select(Words.Plain), .. loaded.Summary.Warnings])
            { HasConversations = loaded.HasConversations };
    }

    /// <inheritdoc/>
    public StreamedExamples Stream(IReadOnlyList<RowSource> sources, StreamOptions options, int count) =>
        new(sources, tokenizer, Options, options, count);

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null) =>
        objective.Sum(rows, dropout, board);

    /// <inheritdoc/>
    public IMetricAccumulator? NewBoard() => objective.NewBoard();

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null) =>
        Generate(
            PromptRows.Read(source, referenced: false, notes), batchSize,
            new GenerationOptions { MaxNewTokens = settings.MaxNewTokens })
            .Select(text => new JsonObject { ["text"] = text });

    /// <inheritdoc/>
    public IReadOnlyList<Words> GenerationNotes => [.. generator.Notes.Select(Words.Plain)];

    /// <inheritdoc/>
    public IEnumerable<string> Generate(
        IReadOnlyList<Row> prompted, int batchSize, GenerationOptions options, CancellationToken cancellation = default)
    {
        Tokenizer words = tokenizer
            ?? throw new InputException(
                $"{model.Folder} has no tokenizer, which generation needs. Copy the model's tokenizer files into " +
                "the folder.");
        IChatFormat? format = null;
        List<int[]> prompts = [.. prompted.Select(row => PromptRows.Conversation(row) is { } asked
            ? ChatFormats.Prompt(
                format ??= ChatFormats.ForTalking(words), words, asked, row.Fields["tools"] as JsonArray)
            : PromptEncoding.Prompt(words, PromptRows.Prompt(row)))];
        // a reply ends with its turn, as in chat
        int? turn = format is null ? null : ChatFormats.EndOfTurn(format, words);
        options = options with
        {
            StopTokenIds = [.. options.StopTokenIds, .. model.Generation.StopTokens(words),
                .. turn is { } ending ? [ending] : (int[])[]],
        };
        return prompts.Chunk(batchSize).SelectMany(batch =>
        {
            IReadOnlyList<IReadOnlyList<int>> texts =
                generator.Generate(batch, options, cancellation: cancellation);
            cancellation.ThrowIfCancellationRequested(); // which leaves them unfinished
            return texts;
        }).Select(ids => words.Decode(ids, skipSpecialTokens: true).Trim());
    }

    /// <inheritdoc/>
    public AdapterTask? Describe() => null;
}
