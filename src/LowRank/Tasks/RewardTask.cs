using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>A score per answer, learned from pairs of a better and a worse one (arXiv 2203.02155, section
/// 3.5).</summary>
/// <remarks>Rows: see <see cref="RewardRows"/>.</remarks>
internal sealed class RewardKind : ITaskKind
{
    /// <summary>Its name in recipes.</summary>
    public const string TaskName = "reward";

    /// <inheritdoc/>
    public string Name => TaskName;

    /// <inheritdoc/>
    public HeadKind Head => HeadKind.SequenceClassification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Options { get; } = ["new_head", "center_rewards_coefficient"];

    /// <inheritdoc/>
    public bool Fits(IModelFamily family) => family.Heads.Contains(Head);

    /// <inheritdoc/>
    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) =>
        settings with { Labels = null, Problem = null };

    /// <inheritdoc/>
    public int HeadSize(TaskSettings settings) => 1;

    /// <inheritdoc/>
    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        new RewardTask(model, tokenizer, settings);
}

/// <summary>Reward modelling on a model: −log σ(r₊ − r₋ − margin) + c·(r₊ + r₋)² for each pair (Bradley and Terry;
/// margins, arXiv 2307.09288, section 3.2.2; centring, arXiv 2312.09244), as TRL's RewardTrainer computes it.</summary>
internal sealed class RewardTask(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) : ITask
{
    private readonly int padding = InputBatch.Padding(model);

    /// <inheritdoc/>
    public INetwork Network => model.Network;

    /// <inheritdoc/>
    public TaskData Read(RowSource source)
    {
        var notes = new List<Words>();
        var rows = new RewardRows(model, tokenizer, settings.MaxLength);
        List<RewardPair> pairs = RowReader.Read(source, row => new[] { rows.Pair(row) }, notes);
        List<RewardPair> fitting = [.. pairs.Where(pair => pair.Longest <= rows.MaxLength)];
        int left = pairs.Count - fitting.Count;
        if (fitting.Count == 0)
            throw new InputException(
                $"No pair of {string.Join(", ", source.Paths)} has at most {rows.MaxLength} tokens in each answer " +
                $"({KnownSettings.MaxLength}); the shortest has {pairs.Min(pair => pair.Longest)}. Raise it.");
        if (left > 0)
            notes.Add(Words.Of(
                $"{(left == 1 ? "1 pair has" : $"{left} pairs have")} an answer longer " +
                    $"than {KnownSettings.MaxLength} " +
                $"{rows.MaxLength} and {(left == 1 ? "is" : "are")} left out: a cut answer cannot be judged."));
        return new TaskData(fitting, notes) { HasConversations = rows.HasConversations };
    }

    /// <inheritdoc/>
    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null)
    {
        using var scope = NewDisposeScope();
        RewardPair[] pairs = [.. rows.Cast<RewardPair>()];
        Tensor scores = Scores(
            [.. pairs.Select(pair => pair.Chosen), .. pairs.Select(pair => pair.Rejected)], dropout); // [2 · pairs]
        (board as RewardAccumulator)?.Add(scores.detach().cpu().data<float>().ToArray());
        float[]? margins = pairs.Any(pair => pair.Margin != 0) ? [.. pairs.Select(pair => (float)pair.Margin)] : null;
        return Loss(scores.narrow(0, 0, pairs.Length), scores.narrow(0, pairs.Length, pairs.Length),
            margins is null ? null : tensor(margins, device: Network.Device), settings.CenterRewardsCoefficient)
            .MoveToOuterDisposeScope();
    }

    /// <summary>The summed loss of pairs.</summary>
    /// <param name="chosen">Scores of the better answers, [pairs].</param>
    /// <param name="rejected">Scores of the worse ones, [pairs].</param>
    /// <param name="margins">By how much each is better at least, [pairs]; null for 0.</param>
    /// <param name="centring">The factor of the squared sum of both scores, which keeps their mean near 0.</param>
    /// <returns>A differentiable scalar; the caller owns it.</returns>
    public static Tensor Loss(Tensor chosen, Tensor rejected, Tensor? margins, double centring)
    {
        using var scope = NewDisposeScope();
        Tensor difference = chosen - rejected;
        if (margins is not null) difference = difference - margins;
        Tensor loss = nn.functional.logsigmoid(difference).sum().neg();
        if (centring != 0)
        {
            Tensor both = chosen.Plus(rejected);
            loss = loss.Plus((both * both).sum() * Number(centring));
        }
        return loss.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IMetricAccumulator NewBoard() => new RewardAccumulator();

    /// <inheritdoc/>
    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null)
    {
        var rows = new RewardRows(model, tokenizer, settings.MaxLength);
        List<(TextInput First, TextInput? Second)> texts =
            RowReader.Read(source, row => new[] { rows.ToScore(row) }, notes);
        if (rows.Cut > 0)
            notes?.Add(Words.Of(
                $"{(rows.Cut == 1 ? "1 text was" : $"{rows.Cut} texts were")} longer than {KnownSettings.MaxLength} " +
                $"{rows.MaxLength} and lost {(rows.Cut == 1 ? "its" : "their")} end."));
        return texts.Chunk(batchSize).SelectMany(Answers);
    }

    /// <inheritdoc/>
    public AdapterTask Describe() => new(RewardKind.TaskName) { MaxLength = settings.MaxLength };

    private List<JsonObject> Answers((TextInput First, TextInput? Second)[] texts)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        TextInput[] all = [.. texts.SelectMany(text =>
            text.Second is { } second ? new[] { text.First, second } : [text.First])];
        Tensor found = FiniteOutput.Require(Scores(all, null), Network, "scores", () => Scores(all, null));
        var scores = new Queue<float>(found.cpu().data<float>().ToArray());
        return [.. texts.Select(text => text.Second is null ? new JsonObject { ["score"] = scores.Dequeue() }
            : new JsonObject { ["chosen_score"] = scores.Dequeue(), ["rejected_score"] = scores.Dequeue() })];
    }

    private Tensor Scores(IReadOnlyList<TextInput> texts, Generator? dropout) =>
        model.Sequence.Scores(InputBatch.Create(texts, padding, Network.Device), dropout).view(-1);
}

/// <summary>A better and a worse answer, each with its prompt.</summary>
/// <param name="Chosen">The better one.</param>
/// <param name="Rejected">The worse one.</param>
/// <param name="Margin">By how much it is better at least.</param>
/// <param name="Place">The row it was made from.</param>
internal sealed record RewardPair(TextInput Chosen, TextInput Rejected, double Margin, DataPlace? Place) : IExample
{
    /// <summary>Tokens of the longer text.</summary>
    public int Longest => Math.Max(Chosen.Length, Rejected.Length);

    /// <inheritdoc/>
    public int Length => Longest;

    /// <inheritdoc/>
    public int Tokens => Chosen.Tokens + Rejected.Tokens;

    /// <inheritdoc/>
    public int PredictedLabels => 1;
}

/// <summary>Collects the scores of pairs; its metrics have TRL's names.</summary>
internal sealed class RewardAccumulator : IMetricAccumulator
{
    private readonly List<(float Chosen, float Rejected)> pairs = [];

    /// <summary>Adds the scores of a batch: of all better answers, then of all worse ones.</summary>
    public void Add(float[] scores)
    {
        int half = scores.Length / 2;
        for (int i = 0; i < half; i++) pairs.Add((scores[i], scores[half + i]));
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double?> Metrics() => pairs.Count == 0 ? new Dictionary<string, double?>()
        : new()
    {
        ["accuracy"] = pairs.Average(pair => pair.Chosen > pair.Rejected ? 1.0 : 0),
        ["margin"] = pairs.Average(pair => (double)pair.Chosen - pair.Rejected),
        ["mean_reward"] = pairs.Average(pair => ((double)pair.Chosen + pair.Rejected) / 2),
        ["min_reward"] = pairs.Min(pair => Math.Min(pair.Chosen, pair.Rejected)),
        ["max_reward"] = pairs.Max(pair => Math.Max(pair.Chosen, pair.Rejected)),
    };
}
