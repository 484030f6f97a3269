using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>Finding the answer to a question in a text (SQuAD, arXiv 1606.05250; without an answer, arXiv
/// 1806.03822).</summary>
/// <remarks>Rows: <c>{"question", "context", "answers": {"text": […], "answer_start": […]}}</c>, as in SQuAD; both
/// lists are empty if the context does not contain the answer. Or <c>{"input_ids", "start_position",
/// "end_position"}</c>.</remarks>
internal sealed class QuestionAnsweringKind : ITaskKind
{
    /// <inheritdoc/>
    public string Name => "question_answering";

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.QuestionAnswering;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["stride", "max_answer_tokens"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 2;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        new QuestionAnsweringTask(model, tokenizer, settings);
}

/// <summary>Question answering on a model: the mean of the cross-entropies of the answer's first and last token over
/// all tokens of a window.</summary>
internal sealed class QuestionAnsweringTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) : ITask
{
    private readonly int padding = InputBatch.Padding(model);

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<Words>();
        var reader = new QuestionReader(new TextRows(model, tokenizer, settings.MaxLength), settings.Stride);
        return new TaskData(
            RowReader.Read(source, row => reader.Read(row, labelled: true), notes), [.. notes, .. reader.Notes]);
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        AnswerWindow[] windows = [.. rows.Cast<AnswerWindow>()];
        (Tensor starts, Tensor ends) = Scores(windows, dropout);
        if (board is AnswerAccumulator results) results.Add(windows, Rows(starts), Rows(ends));
        Tensor Loss(Tensor scores, IEnumerable<int?> places) => nn.functional.cross_entropy(scores,
            tensor(places.Select(place => (long)place!.Value).ToArray(), device: Network.Device),
                reduction: nn.Reduction.Sum);
        return ((Loss(starts, windows.Select(w => w.Start)).Plus(Loss(ends, windows.Select(w => w.End)))) / Number(2))
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator NewBoard() => new AnswerAccumulator(settings.MaxAnswerTokens);

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null)
    {
        var reader = new QuestionReader(new TextRows(model, tokenizer, settings.MaxLength), settings.Stride);
        List<AnswerWindow> windows = RowReader.Read(source, row => reader.Read(row, labelled: false), notes);
        var board = new AnswerAccumulator(settings.MaxAnswerTokens);
        foreach (AnswerWindow[] batch in windows.Chunk(batchSize))
        {
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            (Tensor starts, Tensor ends) = Scores(batch, null);
            foreach (Tensor scores in (Tensor[])[starts, ends])
                FiniteOutput.Require(scores, Network, "scores", () => Scores(batch, null));
            board.Add(batch, Rows(starts), Rows(ends));
        }
        return board.Answers().Select(Answer);
    }

    /// <inheritdoc/>
    public AdapterTask Describe() =>
        new("question_answering") { MaxLength = settings.MaxLength, Stride = settings.Stride };

    private static JsonObject Answer(FoundAnswer answer)
    {
        var offsets = new TextOffsets(answer.Question.Context);
        bool isOfTokens = answer.Question.Context.Length == 0; // positions of tokens are not converted
        return new JsonObject
        {
            ["answer"] = answer.Text,
            ["probability"] = answer.Probability,
            ["start"] = isOfTokens ? answer.Start : offsets.Start(answer.Start),
            ["end"] = isOfTokens ? answer.End : offsets.End(answer.End),
        };
    }

    private (Tensor Starts, Tensor Ends) Scores(AnswerWindow[] windows, Generator? dropout)
    {
        ModelInput input = InputBatch.Create([.. windows.Select(window => window.Input)], padding, Network.Device);
        Tensor scores = model.Sequence.Scores(input, dropout); // [batch, sequence, 2]
        return (scores.select(2, 0), scores.select(2, 1));
    }

    private static float[][] Rows(Tensor scores) =>
        [.. scores.detach().cpu().contiguous().data<float>().ToArray().Chunk((int)scores.shape[1])];
}
