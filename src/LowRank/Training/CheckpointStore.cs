using System.Globalization;
using System.Text.Json;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Resumable states of a run: trained weights, optimizer, random state, counters. Keeps the newest two.</summary>
internal sealed class CheckpointStore(string folder, ITrainedWeights trained, AdamW optimizer, Generator dropout)
{
    private const int Kept = 2;
    private const string Prefix = "step-";
    private const string MethodFile = "method.safetensors"; // what the adapter's method keeps from step to step

    public void Save(RunState state)
    {
        string target = Path.Combine(folder, Prefix + state.Step.ToString("D8", CultureInfo.InvariantCulture));
        AtomicFolder.Write(target, into =>
        {
            using var scope = NewDisposeScope();
            SafeTensorsWriter.Write(Path.Combine(into, "weights.safetensors"), Cpu(trained.Weights));
            SafeTensorsWriter.Write(Path.Combine(into, "optimizer.safetensors"), Cpu(optimizer.State()));
            if (trained.Rules.State is { Count: > 0 } kept) SafeTensorsWriter.Write(Path.Combine(into, MethodFile), Cpu(kept));
            SafeTensorsWriter.Write(Path.Combine(into, "random.safetensors"), [KeyValuePair.Create("dropout", dropout.get_state())]);
            var counters = new CheckpointCounters(state.Step, state.TotalSteps, optimizer.StepCount, state.Tokens, state.BestLoss,
                state.BestStep, state.Elapsed.TotalSeconds);
            File.WriteAllText(Path.Combine(into, "state.json"), JsonSerializer.Serialize(counters));
        });
        foreach (string old in Existing().SkipLast(Kept)) Directory.Delete(old, recursive: true);
    }

    public void RestoreNewest(RunState state)
    {
        string newest = Existing().LastOrDefault() ?? throw new InputException(
            $"There is no checkpoint to resume from in {folder}. Set training.save_every before the run, or start without --resume.");
        CheckpointCounters counters = Counters(Path.Combine(newest, "state.json"));
        if (counters.TotalSteps != state.TotalSteps)
            throw new InputException($"{newest} was made for {counters.TotalSteps} steps, this run has {state.TotalSteps}. " +
                "Resume with the same recipe and data, or choose another output.");
        using var weights = SafeTensorsFile.Open(Path.Combine(newest, "weights.safetensors"));
        using var moments = SafeTensorsFile.Open(Path.Combine(newest, "optimizer.safetensors"));
        using var random = SafeTensorsFile.Open(Path.Combine(newest, "random.safetensors"));
        Copy(trained.Weights, weights, newest);
        if (trained.Rules.State is { Count: > 0 } kept)
        {
            using var method = SafeTensorsFile.Open(Path.Combine(newest, MethodFile));
            Copy(kept, method, newest);
        }
        optimizer.Restore(counters.OptimizerSteps, moments.Map);
        using Tensor randomState = random.Map("dropout");
        dropout.set_state(randomState);
        (state.Step, state.Tokens, state.BestLoss, state.BestStep) = (counters.Step, counters.Tokens, counters.BestLoss, counters.BestStep);
        state.Elapsed = TimeSpan.FromSeconds(counters.Seconds);
    }

    private static CheckpointCounters Counters(string path)
    {
        const string Advice = "Remove this checkpoint folder and resume from the one before.";
        if (!File.Exists(path)) throw new InputException($"{path} is missing. {Advice}");
        try
        {
            return JsonSerializer.Deserialize<CheckpointCounters>(File.ReadAllText(path)) ?? throw new InputException($"{path} is empty. {Advice}");
        }
        catch (JsonException e)
        {
            throw new InputException($"{path} is not valid JSON: {e.Message} {Advice}", e);
        }
    }

    private static void Copy(IReadOnlyList<KeyValuePair<string, Tensor>> into, SafeTensorsFile weights, string where)
    {
        var expected = into.Select(w => w.Key).ToHashSet();
        List<string> problems =
        [
            .. expected.Where(name => !weights.Entries.ContainsKey(name)).Select(name => $"missing: {name}"),
            .. weights.Entries.Keys.Where(name => !expected.Contains(name)).Select(name => $"unexpected: {name}"),
            .. into.Where(w => weights.Entries.TryGetValue(w.Key, out SafeTensorsEntry? e) && !e.Shape.SequenceEqual(w.Value.shape))
                .Select(w => $"wrong shape: {w.Key} is [{string.Join(", ", weights.Entries[w.Key].Shape)}], expected [{string.Join(", ", w.Value.shape)}]"),
        ];
        if (problems.Count > 0) throw new InputException($"{where} does not belong to this recipe:", problems);
        using var noGradient = no_grad();
        foreach ((string name, Tensor weight) in into)
        {
            using Tensor saved = weights.Map(name);
            weight.copy_(saved);
        }
    }

    private string[] Existing() => Directory.Exists(folder)
        ? [.. Directory.GetDirectories(folder, Prefix + "*").Where(path => Path.GetFileName(path).Length == Prefix.Length + 8).Order(StringComparer.Ordinal)]
        : [];

    private static List<KeyValuePair<string, Tensor>> Cpu(IReadOnlyList<KeyValuePair<string, Tensor>> tensors) =>
        [.. tensors.Select(t => KeyValuePair.Create(t.Key, t.Value.detach().cpu()))];
}
