using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data.Rows;
using LowRank.IO;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Reward models against TRL's RewardTrainer (Reference/make_reward_case.py).</summary>
[Collection("alone")]
public sealed class RewardParityTests
{
    private static readonly string Folder =
        Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", "llama_reward");

    [Fact]
    public void Losses_and_gradients_of_given_scores_are_TRLs()
    {
        JsonArray cases = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "scores.json")))!.AsArray();
        Assert.Equal(4, cases.Count);
        foreach (JsonNode? one in cases)
        {
            using var scope = NewDisposeScope();
            float[] Values(string key) => [.. one![key]!.AsArray().Select(value => value!.GetValue<float>())];
            Tensor chosen = tensor(Values("chosen"), requires_grad: true),
                rejected = tensor(Values("rejected"), requires_grad: true);
            Tensor? margins = one!["margin"] is null ? null : tensor(Values("margin"));
            Tensor mean = RewardTask.Loss(chosen, rejected, margins, one["centring"]!.GetValue<double>()) / Number(4);
            mean.backward();
            Near(one["loss"]!.GetValue<double>(), mean.item<float>(), 1e-5);
            float[] gradients = [.. chosen.grad!.data<float>(), .. rejected.grad!.data<float>()];
            foreach ((float expected, float found) in Values("gradient").Zip(gradients)) Near(expected, found, 1e-5);
        }
    }

    [Fact]
    public void Training_follows_TRLs_loss_step_by_step_to_the_same_adapter()
    {
        using PretrainedModel model = PretrainedModel.Open(Folder, TestDevice.Current);
        JsonObject train = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "train.json")))!.AsObject();
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-reward-");
        try
        {
            string file = Path.Combine(folder.FullName, "train.jsonl");
            File.WriteAllLines(file, Rows(train).Select(row => row.ToJsonString()));
            var settings =
                new TaskSettings { CenterRewardsCoefficient = train["centring"]!.GetValue<double>() };
            ITask run = TaskRegistry.Get("reward").Start(model, null, settings);
            using Adapter adapter = Adapter.Load(Path.Combine(Folder, "start"), model);
            adapter.Attach();
            var options = new TrainerOptions
            {
                Steps = 12, BatchSize = 3, LearningRate = 0.01, WeightDecay = 0.01, WarmupSteps = 3, Shuffle = false,
                EvaluateEvery = 0,
            };
            var observer = new Losses();
            new Trainer(run, new TrainedAdapter(adapter), options, folder.FullName, observer)
                .Run(run.Read([file]).Examples, []);
            double[] expected = [.. train["log"]!.AsArray().Select(step => step!["loss"]!.GetValue<double>())];
            Assert.Equal(12, observer.Steps.Count);
            foreach ((double right, double found) in expected.Zip(observer.Steps)) Near(right, found, 1e-4);
            using SafeTensorsFile trained =
                SafeTensorsFile.Open(Path.Combine(Folder, "trained", Adapter.FileName)),
                made = SafeTensorsFile.Open(Path.Combine(folder.FullName, "adapter", Adapter.FileName));
            Assert.Equal(trained.Entries.Keys.Order(), made.Entries.Keys.Order());
            using var scope = NewDisposeScope();
            foreach (string key in trained.Entries.Keys)
                Assert.InRange(Golden.LargestDeviation(trained.Map(key), made.Map(key)), 0, 1e-4);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static IEnumerable<JsonObject> Rows(JsonObject train)
    {
        string[] keys = ["chosen_input_ids", "chosen_attention_mask", "rejected_input_ids", "rejected_attention_mask",
            "margin"];
        for (int step = 0; step < train["margin"]!.AsArray().Count; step++)
            for (int row = 0; row < train["margin"]![step]!.AsArray().Count; row++)
                yield return new JsonObject(keys.Select(key =>
                    KeyValuePair.Create(key, train[key]![step]![row]!.DeepClone()))!);
    }

    private static void Near(double expected, double found, double relative) =>
        Assert.InRange(found, expected - relative * Math.Abs(expected), expected + relative * Math.Abs(expected));

    private sealed class Losses : ITrainingObserver
    {
        public List<double> Steps { get; } = [];

        public void Started(TrainingPlan plan) => Assert.True(plan.TrainableParameters > 0);

        public void Stepped(TrainingStep step) => Steps.Add(step.Loss);

        public void Evaluated(EvaluationResult evaluation) => Assert.Fail("nothing to evaluate");

        public void Finished(TrainingResult result) => Assert.Equal(12, result.Steps);
    }
}
