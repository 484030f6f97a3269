using LowRank.Adapters;
using LowRank.Data;
using LowRank.IO;
using LowRank.Models;
using LowRank.Tests.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

public sealed class TrainerTests
{
    private static readonly LoraConfig Config = (LoraConfig)AdapterConfig.Parse(
        """{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "up_proj"], "task_type": "CAUSAL_LM"}""");

    private static readonly TrainerOptions Options =
        new() { Steps = 4, BatchSize = 8, LearningRate = 0.05, Schedule = ScheduleKind.Constant, Seed = 5 };

    // Rows of 3 to 9 tokens, some of whose labels are not learned.
    private static TokenizedExample[] Examples(int count) => [.. Enumerable.Range(0, count).Select(row =>
    {
        int[] ids = [.. Enumerable.Range(0, 3 + row % 7).Select(i => (row * 5 + i * 3) % 32)];
        return new TokenizedExample(ids, [.. ids.Select((id, i) => i < row % 3 ? TokenizedExample.Ignored : id)]);
    })];

    [Fact]
    public void The_loss_is_the_shifted_cross_entropy_of_all_logits()
    {
        using var scope = NewDisposeScope();
        using var tiny = new TinyModel();
        Batch batch = Batch.Pad(Examples(5));
        TensorBatch onDevice = TensorBatch.Create(batch.InputIds, batch.Labels, batch.AttentionMask, batch.Length, CPU);
        Tensor logits = tiny.Model.Decoder.Forward(onDevice.Tokens, onDevice.AttentionMask);
        Tensor labels = tensor(batch.Labels).view(5, -1);
        Tensor plain = nn.functional.cross_entropy(
            logits.narrow(1, 0, batch.Length - 1).reshape(-1, 32), labels.narrow(1, 1, batch.Length - 1).reshape(-1),
            ignore_index: -100, reduction: nn.Reduction.Sum);
        using Tensor sum = CausalLoss.Sum(tiny.Model.Decoder, onDevice, null);
        Assert.Equal(plain.item<float>(), sum.item<float>(), 1e-3);
        Assert.Equal(Examples(5).Sum(e => e.PredictedLabels), onDevice.PredictedLabels);
        EvaluationResult all = Evaluation.Run(tiny.Model.Decoder, Examples(5), 2, 0);
        Assert.Equal(plain.item<float>() / onDevice.PredictedLabels, all.Loss, 1e-4);
        Assert.Equal(onDevice.PredictedLabels, all.Tokens);
    }

    [Theory]
    [InlineData(4, 2)]
    [InlineData(2, 4)]
    [InlineData(3, 3)]
    public void Micro_batches_of_a_step_count_as_one_batch(int batchSize, int accumulation)
    {
        TokenizedExample[] examples = Examples(batchSize * accumulation);
        (float[] whole, List<TrainingStep> wholeSteps) = Train(examples, Options with { BatchSize = examples.Length });
        (float[] parts, List<TrainingStep> partSteps) =
            Train(examples, Options with { BatchSize = batchSize, GradientAccumulation = accumulation });
        Assert.Equal(4, partSteps.Count);
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal(wholeSteps[i].Loss, partSteps[i].Loss, 1e-4);
            Assert.Equal(wholeSteps[i].GradientNorm, partSteps[i].GradientNorm,
                1e-3 * wholeSteps[i].GradientNorm + 1e-6);
        }
        Assert.True(wholeSteps[3].Loss < wholeSteps[0].Loss);
        for (int i = 0; i < whole.Length; i++) Assert.Equal(whole[i], parts[i], 1e-3);
    }

    [Fact]
    public void The_base_is_not_touched_and_the_adapter_is_saved()
    {
        using var folder = new TemporaryFolder();
        using var tiny = new TinyModel();
        Dictionary<string, float[]> before = tiny.Model.Decoder.Parameters.ToDictionary(
            p => p.Key, p => p.Value.data<float>().ToArray());
        using var adapter = Adapter.Create(tiny.Model, Config, 1);
        adapter.Attach();
        new Trainer(tiny.Model.Decoder, new TrainedAdapter(adapter), Options, folder.Path, new Recorder())
            .Run(Examples(8), []);
        Assert.All(tiny.Model.Decoder.Parameters, p => Assert.Equal(before[p.Key], p.Value.data<float>().ToArray()));
        using var loaded = Adapter.Load(folder["adapter"], tiny.Model);
        Assert.Equal(Values(adapter), Values(loaded));
    }

    [Fact]
    public void A_cancelled_run_resumes_to_what_an_unbroken_one_gives()
    {
        TrainerOptions options =
            Options with { Steps = 6, SaveEvery = 1, BatchSize = 3, Schedule = ScheduleKind.Cosine };
        (float[] unbroken, List<TrainingStep> all) = Train(Examples(8), options);
        using var folder = new TemporaryFolder();
        using (var cancellation = new CancellationTokenSource())
        {
            var first = new Recorder { OnStep = step => { if (step.Step == 3) cancellation.Cancel(); } };
            Train(Examples(8), options, folder.Path, first, false, cancellation: cancellation.Token);
            Assert.Equal(3, first.Steps.Count);
        }
        string checkpoints = folder["checkpoints"];
        Assert.Equal(["step-00000002", "step-00000003"], Directory.GetDirectories(checkpoints)
            .Select(path => Path.GetFileName(path)).Order());
        var second = new Recorder();
        float[] resumed = Train(Examples(8), options, folder.Path, second, true);
        Assert.Equal(unbroken, resumed);
        Assert.Equal(all.Skip(3).Select(s => s.Loss), second.Steps.Select(s => s.Loss));
        Assert.Equal(2, Directory.GetDirectories(checkpoints).Length);
    }

    [Fact]
    public void Checkpoints_of_another_run_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(
            "no checkpoint to resume from",
            Assert.Throws<InputException>(
                () => Train(Examples(8), Options, folder.Path, new Recorder(), true)).Message);
        Train(Examples(8), Options with { SaveEvery = 2 }, folder.Path, new Recorder(), false);
        Assert.Contains("was made for 4 steps, this run has 5",
            Assert.Throws<InputException>(
                () => Train(Examples(8), Options with { Steps = 5 }, folder.Path, new Recorder(), true)).Message);
        using (var tiny = new TinyModel())
        {
            using var other =
                Adapter.Create(
                    tiny.Model, AdapterConfig.Parse(
                        """{"peft_type": "LORA", "r": 3, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}"""),
                        1);
            other.Attach();
            string message = Assert.Throws<InputException>(() =>
                new Trainer(tiny.Model.Decoder, new TrainedAdapter(other), Options, folder.Path, new Recorder())
                    .Run(Examples(8), [], resume: true)).Message;
            Assert.Contains("missing: base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight", message);
            Assert.Contains("unexpected: base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", message);
            Assert.Contains("q_proj.lora_A.weight is [2, 16], expected [3, 16]", message);
        }
    }

    // The form that every version has written: a mean and a square of each weight, in its shape.
    [Fact]
    public void The_optimizers_state_is_kept_by_weight_and_refused_where_it_does_not_fit()
    {
        using var folder = new TemporaryFolder();
        TrainerOptions options = Options with { SaveEvery = 2 };
        Train(Examples(8), options, folder.Path, new Recorder(), false);
        string newest = Path.Combine(folder["checkpoints"], "step-00000004"),
            path = Path.Combine(newest, "optimizer.safetensors");
        List<KeyValuePair<string, Tensor>> state = [];
        using var scope = NewDisposeScope();
        using (var weights = SafeTensorsFile.Open(Path.Combine(newest, "weights.safetensors")))
        using (var moments = SafeTensorsFile.Open(path))
        {
            Assert.Equal(weights.Entries.Keys.SelectMany(name => new[] { name + ".mean", name + ".square" }).Order(),
                moments.Entries.Keys.Order());
            Assert.All(weights.Entries,
                weight => Assert.Equal(weight.Value.Shape, moments.Entries[weight.Key + ".square"].Shape));
            foreach (string name in moments.Entries.Keys)
                state.Add(KeyValuePair.Create(name, moments.Map(name).clone()));
        }
        state.RemoveAt(
            state.FindIndex(
                entry => entry.Key.EndsWith("layers.1.self_attn.q_proj.lora_B.weight.mean", StringComparison.Ordinal)));
        int narrow = state.FindIndex(
            entry => entry.Key.EndsWith("layers.0.self_attn.q_proj.lora_A.weight.square", StringComparison.Ordinal));
        state[narrow] = KeyValuePair.Create(state[narrow].Key, ones(1, 16)); // would spread over all rows
        SafeTensorsWriter.Write(path, state);
        File.Delete(Path.Combine(newest, CheckpointManifest.FileName));
        CheckpointManifest.Write(newest);
        string message = Assert.Throws<InputException>(
            () => Train(Examples(8), options, folder.Path, new Recorder(), true)).Message;
        Assert.Contains("missing: base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight.mean", message);
        Assert.Contains("layers.0.self_attn.q_proj.lora_A.weight.square is [1, 16], expected [2, 16]", message);
    }

    [Fact]
    public void The_best_weights_and_the_last_are_both_kept()
    {
        using var folder = new TemporaryFolder();
        var recorder = new Recorder();
        Train(Examples(8), Options with { EvaluateEvery = 2 }, folder.Path, recorder, false, validation: Examples(3));
        Assert.Equal([2, 4], recorder.Evaluations.Select(e => e.Step));
        Assert.True(Directory.Exists(folder["best"]));
        Assert.Contains(
            "no example to train on",
            Assert.Throws<InputException>(() => Train([], Options, folder.Path, recorder, false)).Message);
        TokenizedExample silent = new([1, 2], [-100, -100]);
        Assert.Contains("No example predicts a label",
            Assert.Throws<InputException>(
                () => Train(Examples(8), Options, folder.Path, recorder, false, validation: [silent])).Message);
    }

    private static (float[] Weights, List<TrainingStep> Steps) Train(
        TokenizedExample[] examples, TrainerOptions options)
    {
        using var folder = new TemporaryFolder();
        var recorder = new Recorder();
        return (Train(examples, options, folder.Path, recorder, false), recorder.Steps);
    }

    private static float[] Train(
        TokenizedExample[] examples, TrainerOptions options, string output, Recorder recorder, bool resume,
        TokenizedExample[]? validation = null, CancellationToken cancellation = default)
    {
        using var tiny = new TinyModel();
        using var adapter =
            Adapter.Create(
                tiny.Model, Config with { Dropout = resume || options.SaveEvery is not null ? 0.2 : 0.0 }, 1);
        adapter.Attach();
        new Trainer(tiny.Model.Decoder, new TrainedAdapter(adapter), options, output, recorder)
            .Run(examples, validation ?? [], resume, cancellation);
        return Values(adapter);
    }

    private static float[] Values(Adapter adapter) =>
        [.. adapter.Weights.SelectMany(w => w.Value.detach().contiguous().data<float>().ToArray())];
}
