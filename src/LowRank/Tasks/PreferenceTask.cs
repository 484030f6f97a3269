using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Preferences;
using LowRank.Data.Rows;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using LowRank.Training.Preferences;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Causal language modelling that learns from preferences instead of texts. What it writes, and how, is the
/// language model's.</summary>
/// <remarks>Rows: see <see cref="PreferenceRows"/>.</remarks>
internal sealed class PreferenceTask : IGeneratingTask
{
    private readonly CausalLanguageModelTask texts;
    private readonly Tokenizer? tokenizer;
    private readonly ExampleOptions options;
    private readonly PreferenceSettings settings;
    private readonly IReferencedObjective objective;

    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="settings">The task's settings.</param>
    /// <param name="preference">What is learned.</param>
    public PreferenceTask(
        PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings, PreferenceSettings preference)
    {
        texts = new CausalLanguageModelTask(model, tokenizer, settings);
        (this.tokenizer, this.settings, options) = (tokenizer, preference, texts.Options);
        objective = preference.IsRated ? new RatedObjective(model.Decoder, preference, settings.Batching)
            : new PairObjective(model.Decoder, preference, settings.Batching);
    }

    /// <inheritdoc/>
    public INetwork Network => texts.Network;

    /// <summary>Whether it compares with a reference model, which <see cref="Compare"/> gives.</summary>
    public bool NeedsReference => settings.NeedsReference;

    /// <inheritdoc/>
    public IReadOnlyList<Words> GenerationNotes => texts.GenerationNotes;

    /// <summary>Sets the model to compare with.</summary>
    public void Compare(ReferenceModel reference) => objective.Reference = reference;

    /// <summary>Computes the reference of all examples, or takes it from a file of an earlier run.</summary>
    /// <param name="examples">All examples of the run.</param>
    /// <param name="identity">What identifies the reference model.</param>
    /// <param name="progress">Receives the number of groups of rows done, and of all; null for nobody.</param>
    public void Precompute(
        IEnumerable<IExample> examples, string identity, IProgress<(int Done, int Rows)>? progress)
    {
        IReadOnlyList<TokenizedExample>[] groups = [.. objective.Compared(examples)];
        int done = 0;
        objective.Reference!.Complete(groups, objective.Scores,
            ReferenceFile.For(identity, groups.SelectMany(group => group)),
            count => progress?.Report((done += count, groups.Length)));
    }

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        if (tokenizer is null)
            throw new InputException(
                "Preferences are texts, and the model has no tokenizer. Copy the model's tokenizer files into its " +
                    "folder.");
        var rows = new PreferenceRows();
        var tokens = new RowTokenizer(tokenizer, options);
        var cutter = new ExampleCutter(options.MaxLength);
        List<Words> notes = [];
        IReadOnlyList<IExample> examples = settings.IsRated
            ? Rotated(RowReader.Read(source, row => Rated(row, tokens, cutter), notes))
            : RowReader.Read(source, row => Pair(row, rows, tokens, cutter), notes);
        return new TaskData(examples,
            [.. notes, .. rows.Notes.Select(Words.Plain), .. tokens.Notes, .. cutter.Summary().Warnings])
            { HasConversations = tokens.HasConversations };
    }

    /// <inheritdoc/>
    public void Begin(IReadOnlyList<IReadOnlyList<IExample>> microBatches) => objective.Begin(microBatches);

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null) =>
        objective.Sum(rows, dropout, board);

    /// <inheritdoc/>
    public IMetricAccumulator? NewBoard() => objective.NewBoard();

    /// <inheritdoc/>
    public IMetricAccumulator? NewStepBoard() => objective.NewStepBoard();

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null) =>
        texts.Predict(source, batchSize, notes);

    /// <inheritdoc/>
    public IEnumerable<string> Generate(
        IReadOnlyList<Row> prompted, int batchSize, GenerationOptions options,
            CancellationToken cancellation = default) =>
        texts.Generate(prompted, batchSize, options, cancellation);

    /// <inheritdoc/>
    public AdapterTask? Describe() => texts.Describe();

    private static IEnumerable<PreferencePair> Pair(
        Row row, PreferenceRows rows, RowTokenizer tokens, ExampleCutter cutter)
    {
        (JsonObject chosen, JsonObject rejected) = rows.Pair(row.Fields);
        TokenizedExample better = Only(tokens, new Row(row.Place, chosen)),
            worse = Only(tokens, new Row(row.Place, rejected));
        return cutter.Cut(better) is { } kept && cutter.Cut(worse) is { } other
            ? [new PreferencePair(kept, other, row.Place)] : [];
    }

    private static IEnumerable<RatedCompletion> Rated(Row row, RowTokenizer tokens, ExampleCutter cutter)
    {
        (JsonObject completed, bool isDesirable) = PreferenceRows.Rated(row.Fields);
        return cutter.Cut(Only(tokens, new Row(row.Place, completed))) is { } kept
            ? [new RatedCompletion(kept, kept, isDesirable, row.Place)] : [];
    }

    // Each prompt with the completion of the row before it.
    private List<RatedCompletion> Rotated(List<RatedCompletion> rows)
    {
        if (rows.Count == 1)
            throw new InputException(
                "kto compares each prompt with the completion of another row, and there is one row. Give more rows.");
        return [.. rows.Select((row, i) => row with
        {
            Mismatched = Joined(row.Completion, rows[(i + rows.Count - 1) % rows.Count].Completion),
        })];
    }

    private TokenizedExample Joined(TokenizedExample prompted, TokenizedExample other)
    {
        int prompt = Array.FindIndex(prompted.Labels, label => label != TokenizedExample.Ignored),
            from = Array.FindIndex(other.Labels, label => label != TokenizedExample.Ignored);
        int length = Math.Min(options.MaxLength, prompt + other.Length - from);
        return new TokenizedExample(
            [.. prompted.InputIds[..prompt], .. other.InputIds[from..(from + length - prompt)]],
            [.. prompted.Labels[..prompt], .. other.Labels[from..(from + length - prompt)]], Place: prompted.Place);
    }

    private static TokenizedExample Only(RowTokenizer tokens, Row row)
    {
        IReadOnlyList<TokenizedExample> examples = tokens.Tokenize(row);
        return examples.Count == 1 ? examples[0] : throw new InputException(
            "the chat template writes earlier turns of this completion differently once later ones follow, so it has " +
            "no one text. Expected a completion of one turn of the assistant.");
    }
}
