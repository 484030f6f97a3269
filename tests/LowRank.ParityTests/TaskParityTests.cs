using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.IO;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Tasks through rows, losses and trained adapters against transformers and PEFT.</summary>
[Collection("alone")]
public sealed class TaskParityTests
{
    private const double Tolerance = 1e-4; // absolute on float32 logits, relative on losses

    /// <summary>The case's folder, the task's name.</summary>
    public static TheoryData<string, string> Cases =>
        [.. Others, .. Golden.Plain.Select(family => new TheoryDataRow<string, string>(family, "causal_lm"))];

    private static TheoryData<string, string> Others => new()
    {
        { "bert", "sequence_classification" },
        { "roberta", "sequence_classification" },
        { "distilbert", "sequence_classification" },
        { "xlm-roberta", "sequence_classification" },
        { "modernbert", "sequence_classification" },
        { "bert_sequence_pairs", "sequence_classification" },
        { "bert_regression", "sequence_classification" },
        { "bert_multi_label", "sequence_classification" },
        { "llama_sequence_classification", "sequence_classification" },
        { "gpt2_sequence_classification", "sequence_classification" },
        { "bert_token_classification", "token_classification" },
        { "roberta_token_classification", "token_classification" },
        { "modernbert_token_classification", "token_classification" },
        { "qwen2_token_classification", "token_classification" },
        { "gpt2_token_classification", "token_classification" },
        { "bert_question_answering", "question_answering" },
        { "distilbert_question_answering", "question_answering" },
        { "bert_masked_lm", "masked_lm" },
        { "roberta_masked_lm", "masked_lm" },
        { "distilbert_masked_lm", "masked_lm" },
        { "modernbert_masked_lm", "masked_lm" },
        { "t5", "seq2seq" },
        { "t5_plain", "seq2seq" },
        { "t5_gated", "seq2seq" },
        { "roberta_embedding", "embedding" },
        { "mixtral", "causal_lm" },
        { "qwen3_moe", "causal_lm" },
        { "qwen3_moe_unnormalized", "causal_lm" },
        { "gemma2", "causal_lm" },
        { "gemma3", "causal_lm" },
        { "phi3", "causal_lm" },
        { "gpt_neox", "causal_lm" },
        { "opt", "causal_lm" },
    };

    [Theory, MemberData(nameof(Cases))]
    public void Outputs_equal_the_reference_before_and_after_training(string name, string task)
    {
        using var golden = new Golden(name);
        using var scope = NewDisposeScope();
        Check(golden, task, "");
        if (!golden.Has("logits.trained") && !golden.Has("start_logits.trained") && !golden.Has("embeddings.trained"))
            return;
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "trained"), golden.Model);
        adapter.Attach();
        Check(golden, task, ".trained");
        adapter.Merge();
        Check(golden, task, ".trained");
        adapter.Unmerge();
        Check(golden, task, "");
    }

    [Theory, MemberData(nameof(Cases))]
    public void Training_follows_the_reference_step_by_step_to_the_same_adapter(string name, string task)
    {
        using var golden = new Golden(name);
        JsonObject train = JsonNode.Parse(File.ReadAllText(Path.Combine(golden.Folder, "train.json")))!.AsObject();
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-task-");
        try
        {
            string file = Path.Combine(folder.FullName, "train.jsonl");
            File.WriteAllLines(file, Rows(train, task).Select(row => row.ToJsonString()));
            ITaskKind kind = TaskRegistry.Get(task);
            TaskSettings settings =
                kind.Complete(new TaskSettings(), LowRank.Data.Rows.RowSource.From([file]), golden.Model.Config);
            ITask run = kind.Start(golden.Model, null, settings);
            using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "start"), golden.Model);
            adapter.Attach();
            var trained = new TrainedAdapter(adapter);
            var options = new TrainerOptions
            {
                Steps = 12, BatchSize = 3, LearningRate = 0.01, WeightDecay = 0.01, WarmupSteps = 3, Shuffle = false,
                    EvaluateEvery = 0,
            };
            var steps = new List<TrainingStep>();
            new Trainer(run, trained, options, folder.FullName, new Observer(steps)).Run(run.Read([file]).Examples, []);
            JsonArray log = train["log"]!.AsArray();
            Assert.Equal(log.Count, steps.Count);
            for (int i = 0; i < steps.Count; i++)
            {
                Near(log[i]!["loss"]!.GetValue<double>(), steps[i].Loss, Tolerance);
                Near(log[i]!["grad_norm"]!.GetValue<double>(), steps[i].GradientNorm, 1e-3);
            }
            CompareWeights(Path.Combine(golden.Folder, "trained"), Path.Combine(folder.FullName, "adapter"),
                [.. (train["undetermined"] as JsonArray ?? []).Select(key => key!.GetValue<string>())]);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void A_saved_adapter_equals_PEFTs_files_byte_for_byte(string name, string task)
    {
        Assert.NotNull(TaskRegistry.Get(task));
        using var golden = new Golden(name);
        foreach (string kind in new[] { "start", "trained" })
            AdapterParityTests.CheckBytes(Path.Combine(golden.Folder, kind), golden.Model);
    }

    [Theory]
    [InlineData("mixtral")]
    [InlineData("qwen3_moe")]
    [InlineData("qwen3_moe_unnormalized")]
    public void Pairs_on_each_expert_give_the_references_logits(string name)
    {
        using var golden = new Golden(name);
        using var scope = NewDisposeScope();
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "lora_experts"), golden.Model);
        adapter.Attach();
        Assert.InRange(Golden.LargestDeviation(golden.Logits(), golden.Read("logits.lora_experts")), 0, Tolerance);
        adapter.Merge();
        Assert.InRange(Golden.LargestDeviation(golden.Logits(), golden.Read("logits.lora_experts")), 0, Tolerance);
        AdapterParityTests.CheckBytes(Path.Combine(golden.Folder, "lora_experts"), golden.Model);
    }

    private static void Check(Golden golden, string task, string suffix)
    {
        void Equal(string name, Tensor found) =>
            Assert.InRange(Golden.LargestDeviation(found, golden.Read(name + suffix)), 0, Tolerance);
        if (task == "question_answering")
        {
            Tensor scores = golden.Logits();
            Equal("start_logits", scores.select(2, 0));
            Equal("end_logits", scores.select(2, 1));
        }
        else if (task == "embedding")
        {
            var input = new ModelInput(golden.Read("input_ids"), golden.Read("attention_mask"));
            Tensor pooled = Pooled.Of(golden.Model.Sequence.States(input), input.AttentionMask, Pooling.Mean);
            Equal("embeddings", nn.functional.normalize(pooled, 2, 1, 1e-12));
        }
        else
        {
            Equal("logits", golden.Logits());
        }
    }

    private static IEnumerable<JsonObject> Rows(JsonObject train, string task)
    {
        for (int step = 0; step < train["input_ids"]!.AsArray().Count; step++)
            for (int row = 0; row < train["input_ids"]![step]!.AsArray().Count; row++)
            {
                JsonNode? Cell(string key) => train[key]?[step]?[row]?.DeepClone();
                var made = new JsonObject { ["input_ids"] = Cell("input_ids"),
                    ["attention_mask"] = Cell("attention_mask") };
                if (Cell("token_type_ids") is { } types) made["token_type_ids"] = types;
                JsonNode? labels = Cell("labels");
                switch (task)
                {
                    case "sequence_classification" when labels is JsonArray several:
                        made["labels"] =
                            new JsonArray(
                                [.. Enumerable.Range(0, several.Count).Where(i => several[i]!.GetValue<double>() == 1)
                                .Select(i => (JsonNode?)i)]);
                        break;
                    case "sequence_classification":
                        made["label"] = labels;
                        break;
                    case "question_answering":
                        made["start_position"] = Cell("start_positions");
                        made["end_position"] = Cell("end_positions");
                        break;
                    case "embedding":
                        made["positive_input_ids"] = Cell("positive_input_ids");
                        made["positive_attention_mask"] = Cell("positive_attention_mask");
                        break;
                    default:
                        made["labels"] = labels;
                        break;
                }
                yield return made;
            }
    }

    private static void CompareWeights(string expected, string found, HashSet<string> undetermined)
    {
        using SafeTensorsFile right = SafeTensorsFile.Open(Path.Combine(expected, Adapter.FileName)),
            made = SafeTensorsFile.Open(Path.Combine(found, Adapter.FileName));
        Assert.Equal(right.Entries.Keys.Order(), made.Entries.Keys.Order());
        using var scope = NewDisposeScope();
        foreach (string key in right.Entries.Keys.Where(key => !undetermined.Contains(key)))
            Assert.InRange(Golden.LargestDeviation(right.Map(key), made.Map(key)), 0, 1e-3);
    }

    private static void Near(double expected, double found, double relative) =>
        Assert.InRange(found, expected - relative * Math.Abs(expected), expected + relative * Math.Abs(expected));

    private sealed class Observer(List<TrainingStep> steps) : ITrainingObserver
    {
        public void Started(TrainingPlan plan) => Assert.True(plan.TrainableParameters > 0);

        public void Stepped(TrainingStep step) => steps.Add(step);

        public void Evaluated(EvaluationResult evaluation) => Assert.Fail("nothing to evaluate");

        public void Finished(TrainingResult result) => Assert.True(result.Steps > 0);
    }
}
