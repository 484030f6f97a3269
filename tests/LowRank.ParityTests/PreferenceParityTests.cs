using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Data.Preferences;
using LowRank.Training;
using LowRank.Training.Preferences;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Objectives of preferences against TRL 1.10 (<c>Reference/make_preference_cases.py</c>).</summary>
public sealed class PreferenceParityTests
{
    private static readonly JsonArray Cases = (JsonArray)JsonNode.Parse(File.ReadAllText(
        Path.Combine(AppContext.BaseDirectory, "Fixtures", "preferences", "cases.json")))!;

    public static TheoryData<int, string> Objectives =>
        [.. Cases.Select((one, i) => (i, $"{one!["type"]} {string.Join("+", Texts(one["loss"]))}".Trim()))];

    [Theory, MemberData(nameof(Objectives))]
    public void Loss_gradient_and_metrics_on_given_logits_are_those_of_TRL(int number, string name)
    {
        JsonNode one = Cases[number]!, given = one["case"]!;
        PreferenceSettings settings = Settings(one);
        using var scope = NewDisposeScope();
        Tensor logits = Numbers(given["logits"]!).requires_grad_(), ids = Ids(given["ids"]!);
        TokenizedExample[] rows = Rows(one, given["rows"]!);
        Tensor scores = Scores(logits, ids, rows),
            lengths = tensor([.. rows.Select(row => (float)row.PredictedLabels)]);
        var metrics = new PreferenceMetrics();
        Tensor loss;
        if (settings.Type == "kto")
        {
            Tensor other = Scores(Numbers(given["other_logits"]!), Ids(given["other_ids"]!), Mismatched(
                given["rows"]!));
            double divergence = Math.Max(0, (other - Numbers(given["reference"]![1]!)).mean().item<float>());
            Tensor sides = tensor([.. ((JsonArray)given["rows"]!).Select(row => (bool)row![2]! ? 1f : -1f)]);
            loss = RatedObjective.Losses(settings, scores - Numbers(given["reference"]![0]!), sides, divergence).mean();
            Assert.Equal((double)given["metrics"]!["kl"]!, divergence, 1e-5);
        }
        else
        {
            int count = rows.Length / 2;
            var pairs = new PairScores(scores.narrow(0, 0, count), scores.narrow(0, count, count),
                lengths.narrow(0, 0, count), lengths.narrow(0, count, count));
            if (settings.NeedsReference)
            {
                Tensor reference = Numbers(given["reference"]![0]!);
                pairs = pairs with
                {
                    ReferenceChosen = reference.narrow(0, 0, count), ReferenceRejected = reference.narrow(0, count,
                        count),
                };
            }
            TokenizedExample[] likely = [.. rows.Take(count).Select(row =>
                settings.Type == "orpo" ? row with { Labels = row.InputIds } : row)];
            Tensor nll = Scores(logits.narrow(0, 0, count), ids.narrow(0, 0, count), likely)
                / Number(-likely.Sum(row => (double)row.PredictedLabels) / count);
            loss = PairLoss.Of(settings, pairs, nll, metrics).mean();
        }
        double expected = (double)given["loss"]!;
        Assert.InRange(Math.Abs(loss.item<float>() - expected) / Math.Abs(expected), 0, 1e-5);
        loss.backward();
        Tensor gradient = Numbers(given["gradient"]!);
        Assert.InRange((logits.grad! - gradient).abs().max().item<float>() / gradient.abs().max().item<float>(), 0,
            1e-5);
        CheckMetrics(name, metrics, given["metrics"]!);
    }

    [Theory, MemberData(nameof(Objectives))]
    public void Five_steps_of_a_model_are_those_of_TRL(int number, string name)
    {
        JsonNode one = Cases[number]!, given = one["trajectory"]!;
        foreach (bool packs in (bool[])[true, false])
        {
            using var golden = new Golden("llama");
            using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "start"), golden.Model);
            adapter.Attach();
            adapter.SetTrainable(true);
            PreferenceSettings settings = Settings(one);
            using var reference = new ReferenceModel(adapter, start: null);
            var batching = new RowBatching { Packing = packs };
            IObjective objective = settings.Type == "kto"
                ? new RatedObjective(golden.Model.Decoder, settings, batching) { Reference = reference }
                : new PairObjective(golden.Model.Decoder, settings, batching) { Reference = reference };
            IExample[] rows = Examples(one, given["rows"]!);
            var options = new TrainerOptions { LearningRate = 0.02, WeightDecay = 0, MaxGradientNorm = 0 };
            using var optimizer = new AdamW([.. adapter.TrainedWeights], options);
            var metrics = new PreferenceMetrics();
            foreach (double expected in ((JsonArray)given["losses"]!).Select(loss => (double)loss!))
            {
                using var scope = NewDisposeScope();
                metrics = new PreferenceMetrics();
                objective.Begin([rows]);
                Tensor loss = objective.Sum(rows, null, metrics) / Number(rows.Length);
                // hinge reaches 0
                Assert.InRange(Math.Abs(loss.item<float>() - expected) / Math.Max(Math.Abs(expected), 1e-2), 0, 1e-4);
                foreach ((string _, Tensor weight) in adapter.TrainedWeights) weight.grad = null;
                loss.backward();
                optimizer.Step(0.02, _ => 1, 1);
            }
            CheckMetrics(name, metrics, given["last_metrics"]!);
        }
    }

    private static void CheckMetrics(string name, PreferenceMetrics metrics, JsonNode expected)
    {
        foreach ((string metric, double? value) in metrics.Metrics())
            if (expected[metric] is { } known)
                Assert.True(Math.Abs(value!.Value - (double)known) <= 1e-4 * Math.Max(1, Math.Abs((double)known)),
                    $"{name}: {metric} is {value}, expected {known}");
    }

    private static PreferenceSettings Settings(JsonNode one)
    {
        string type = (string)one["type"]!;
        string[] losses = Texts(one["loss"]);
        return new PreferenceSettings
        {
            Type = type,
            Losses = losses,
            LossWeights = one["loss_weights"] is JsonArray weights ? [.. weights.Select(weight => (double)weight!)]
                : [.. losses.Select(_ => 1.0)],
            Beta = (double)one["beta"]!,
            LabelSmoothing = (double?)one["label_smoothing"] ?? 0,
            Gamma = (double?)one["gamma"] ?? 0,
            NllWeight = type == "cpo" ? 1 : 0,
            DesirableWeight = (double?)one["desirable_weight"] ?? 1,
            UndesirableWeight = (double?)one["undesirable_weight"] ?? 1,
        };
    }

    private static string[] Texts(JsonNode? list) => [.. (list as JsonArray ?? []).Select(item => (string)item!)];

    private static TokenizedExample Row(JsonNode prompt, JsonNode completion)
    {
        int[] before = [.. ((JsonArray)prompt).Select(id => (int)id!)],
            after = [.. ((JsonArray)completion).Select(id => (int)id!)];
        return new TokenizedExample(
            [.. before, .. after], [.. before.Select(_ => TokenizedExample.Ignored), .. after]);
    }

    // The completions in the order of TRL's batch.
    private static TokenizedExample[] Rows(JsonNode one, JsonNode rows) => (string)one["type"]! == "kto"
        ? [.. ((JsonArray)rows).Select(row => Row(row![0]!, row[1]!))]
        : [.. ((JsonArray)rows).Select(row => Row(row![0]!, row[1]!)),
            .. ((JsonArray)rows).Select(row => Row(row![0]!, row[2]!))];

    private static TokenizedExample[] Mismatched(JsonNode rows)
    {
        var all = (JsonArray)rows;
        return [.. all.Select((row, i) => Row(row![0]!, all[(i + all.Count - 1) % all.Count]![1]!))];
    }

    private static IExample[] Examples(JsonNode one, JsonNode rows)
    {
        TokenizedExample[] completions = Rows(one, rows);
        if ((string)one["type"]! != "kto")
            return [.. Enumerable.Range(0, completions.Length / 2).Select(i =>
                new PreferencePair(completions[i], completions[i + (completions.Length / 2)], null))];
        return [.. completions.Zip(Mismatched(rows), (completion, other) => (completion, other)).Select((pair, i) =>
            new RatedCompletion(pair.completion, pair.other, (bool)rows[i]![2]!, null))];
    }

    // log π of each row's labels together.
    private static Tensor Scores(Tensor logits, Tensor ids, TokenizedExample[] rows)
    {
        Tensor each = nn.functional.log_softmax(logits, 2).narrow(1, 0, logits.shape[1] - 1)
            .gather(2, ids.narrow(1, 1, ids.shape[1] - 1).unsqueeze(2)).squeeze(2);
        var mask = new float[rows.Length, (int)ids.shape[1] - 1];
        for (int row = 0; row < rows.Length; row++)
            for (int i = 1; i < rows[row].Length; i++)
                mask[row, i - 1] = rows[row].Labels[i] == TokenizedExample.Ignored ? 0 : 1;
        return (each * tensor(mask)).sum(1);
    }

    private static Tensor Ids(JsonNode rows) => Numbers(rows).to(ScalarType.Int64);

    private static Tensor Numbers(JsonNode node)
    {
        List<float> values = [];
        List<long> shape = [];
        for (JsonNode? inner = node; inner is JsonArray list; inner = list[0]) shape.Add(list.Count);
        void Add(JsonNode? inner)
        {
            if (inner is JsonArray list) foreach (JsonNode? item in list) Add(item);
            else values.Add((float)inner!);
        }
        Add(node);
        return tensor(values.ToArray()).view([.. shape]);
    }
}
