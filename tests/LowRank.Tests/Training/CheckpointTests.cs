using System.Security.Cryptography;
using System.Text.Json;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.IO;
using LowRank.Models;
using LowRank.Tests.Models;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

public sealed class CheckpointTests
{
    private static readonly LoraConfig Config =
        new() { Rank = 2, Dropout = 0.2, TargetModules = ModuleSelection.Create(["q_proj", "up_proj"]) };

    private static readonly TrainerOptions Options =
        new() { Steps = 6, BatchSize = 3, LearningRate = 0.05, Schedule = ScheduleKind.Cosine, Seed = 5,
        SaveEvery = 1 };

    private static readonly TokenizedExample[] Rows = [.. Enumerable.Range(0, 8).Select(row =>
    {
        int[] ids = [.. Enumerable.Range(0, 3 + row % 7).Select(i => (row * 5 + i * 3) % 32)];
        return new TokenizedExample(ids, ids);
    })];

    // Rows that are all to end in one token, and held-out rows that are to end in another.
    private static TokenizedExample[] Ending(int token) =>
        [.. Rows.Select(row => row with { Labels = [.. row.Labels.Select(_ => token)] })];

    [Fact]
    public void A_checkpoint_holds_everything_with_a_manifest_of_sizes_and_hashes()
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path);
        string newest = folder[Path.Combine("checkpoints", "step-00000006")];
        using JsonDocument manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(newest, "manifest.json")));
        JsonElement[] files = [.. manifest.RootElement.GetProperty("files").EnumerateArray()];
        Assert.Equal(["optimizer.safetensors", "random.safetensors", "state.json", "weights.safetensors"],
            files.Select(file => file.GetProperty("name").GetString()));
        foreach (JsonElement file in files)
        {
            byte[] bytes = File.ReadAllBytes(Path.Combine(newest, file.GetProperty("name").GetString()!));
            Assert.Equal(bytes.Length, file.GetProperty("bytes").GetInt64());
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), file.GetProperty("sha256").GetString());
        }
        using JsonDocument state = JsonDocument.Parse(File.ReadAllText(Path.Combine(newest, "state.json")));
        Assert.Equal(6, state.RootElement.GetProperty("step").GetInt64());
        Assert.Equal(2, state.RootElement.GetProperty("epoch").GetInt64());
        Assert.Equal(8, state.RootElement.GetProperty("data").GetProperty("rows").GetInt64());
        Assert.Equal(0.05, state.RootElement.GetProperty("schedule").GetProperty("peak").GetDouble());
    }

    public static TheoryData<string, string> Damages => new()
    {
        { "cut", "weights.safetensors has" },
        { "turned", "optimizer.safetensors has other bytes than were written" },
        { "missing", "random.safetensors is missing" },
        { "torn manifest", "its manifest.json is torn" },
        { "no manifest", "it has no manifest.json" },
    };

    [Theory, MemberData(nameof(Damages))]
    public void The_newest_whole_checkpoint_is_resumed_and_the_torn_one_named(string damage, string expected)
    {
        byte[] whole = Train();
        using var folder = new TemporaryFolder();
        Train(folder.Path, stopAfter: 4);
        string torn = folder[Path.Combine("checkpoints", "step-00000004")];
        Damage(torn, damage);
        var recorder = new Recorder();
        Assert.Equal(whole, Train(folder.Path, resume: true, recorder: recorder));
        Assert.Equal(3, recorder.Plan!.ResumedFrom);
        Assert.Contains(
            recorder.Plan.Notes, note => note.Contains(torn) && note.Contains(expected, StringComparison.Ordinal));
        Assert.Equal([4, 5, 6], recorder.Steps.Select(step => step.Step));
    }

    [Fact]
    public void No_whole_checkpoint_is_an_error_that_names_each()
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path, stopAfter: 3);
        foreach (string checkpoint in Directory.GetDirectories(folder["checkpoints"])) Damage(checkpoint, "cut");
        var e = Assert.Throws<InputException>(() => Train(folder.Path, resume: true));
        Assert.Contains("is intact. Start the run anew", e.Message);
        Assert.Equal(2, e.Problems.Count);
        Assert.All(e.Problems, problem => Assert.Contains("weights.safetensors has", problem));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void The_newest_are_kept_and_the_best(int kept)
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path, Options with { KeepCheckpoints = kept, EvaluateEvery = 1, LearningRate = 1 },
            rows: Ending(3), validation: Ending(4));
        string[] names =
            [.. Directory.GetDirectories(folder["checkpoints"]).Select(path => Path.GetFileName(path)).Order()];
        CheckpointCounters newest = JsonSerializer.Deserialize<CheckpointCounters>(
            File.ReadAllText(folder[Path.Combine("checkpoints", "step-00000006", "state.json")]),
            CheckpointStore.Json)!;
        Assert.InRange(newest.BestStep!.Value, 1, 6 - kept);
        Assert.Equal(
            [$"step-{newest.BestStep:D8}", .. Enumerable.Range(7 - kept, kept).Select(step => $"step-{step:D8}")],
            names);
    }

    [Fact]
    public void The_best_is_kept_between_two_saves_too()
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path, Options with { SaveEvery = 6, EvaluateEvery = 1, KeepCheckpoints = 1, LearningRate = 1 },
            rows: Ending(3), validation: Ending(4));
        Assert.Equal(2, Directory.GetDirectories(folder["checkpoints"]).Length);
    }

    [Fact]
    public void A_full_disk_leaves_the_older_checkpoints_and_says_what_to_do()
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path, stopAfter: 3);
        using var tiny = new TinyModel();
        using var adapter = Adapter.Create(tiny.Model, Config, 1);
        adapter.Attach();
        using var runner =
            new StepRunner(new CausalObjective(tiny.Model.Decoder), new TrainedAdapter(adapter), Options);
        using RunFolder run = RunFolder.Take(folder.Path);
        var data = DataOrder.From(Rows, Options);
        var store = new CheckpointStore(run, new TrainedAdapter(adapter), runner.Optimizer, runner.Dropout, kept: 2)
        {
            WriteFolder = (target, fill) => AtomicFolder.Write(target, into =>
            {
                fill(into);
                File.WriteAllBytes(Path.Combine(into, "weights.safetensors"), [1, 2, 3]);
                throw new IOException("No space left on device");
            }),
        };
        CheckpointCounters counters = store.RestoreNewest(data, 6, []);
        var e = Assert.Throws<RunStorageException>(() => store.Save(counters with { Step = 4 }));
        Assert.Contains("The checkpoint of step 4 could not be written", e.Message);
        Assert.Contains("No space left on device", e.Message);
        Assert.Contains("step-00000003", e.Message);
        Assert.Contains("then resume the run", e.Message);
        Assert.Equal(["step-00000002", "step-00000003"], Directory.GetFileSystemEntries(folder["checkpoints"])
            .Select(path => Path.GetFileName(path)).Order());
        Assert.All(Directory.GetDirectories(folder["checkpoints"]),
            path => Assert.Null(CheckpointManifest.Check(path)));
    }

    [Fact]
    public void Other_data_or_another_order_of_it_is_refused_with_every_reason()
    {
        using var folder = new TemporaryFolder();
        Train(folder.Path, stopAfter: 3);
        string message = Assert.Throws<InputException>(
            () => Train(folder.Path, Options with { BatchSize = 4, Seed = 6, Shuffle = false }, resume: true)).Message;
        Assert.Contains("a step took 3 rows, and takes 4 now", message);
        Assert.Contains("the seed was 5, and is 6 now", message);
        Assert.Contains("the shuffle setting was true", message);
        TokenizedExample[] changed = [.. Rows[..7], Rows[7] with { Labels = [.. Rows[7].Labels.Reverse()] }];
        Assert.Contains(
            "the rows of the data have changed",
            Assert.Throws<InputException>(() => Train(folder.Path, resume: true, rows: changed)).Message);
        Assert.Contains(
            "the data had 8 rows, and has 7 now",
            Assert.Throws<InputException>(() => Train(folder.Path, resume: true, rows: Rows[..7])).Message);
    }

    [Fact]
    public void The_same_seed_gives_the_same_bytes_and_another_one_others()
    {
        byte[] first = Train();
        Assert.Equal(first, Train());
        Assert.NotEqual(first, Train(options: Options with { Seed = 6 }));
    }

    [Fact]
    public void A_run_that_is_stopped_saves_a_checkpoint_though_none_was_due()
    {
        byte[] whole = Train(options: Options with { SaveEvery = null });
        using var folder = new TemporaryFolder();
        Train(folder.Path, Options with { SaveEvery = null }, stopAfter: 3);
        Assert.Equal(["step-00000003"], Directory.GetDirectories(folder["checkpoints"])
            .Select(path => Path.GetFileName(path)));
        Assert.Equal(whole, Train(folder.Path, Options with { SaveEvery = null }, resume: true));
    }

    [Fact]
    public void A_resume_beside_another_base_is_refused_and_names_what_changed()
    {
        using var folder = new TemporaryFolder();
        using TinyModel one = new(seed: 1), other = new(seed: 2);
        one.Save();
        other.Save();
        TrainBeside(one.Path, folder.Path, resume: false);
        string[] before = Listing(folder.Path);
        string message = Assert.Throws<InputException>(
            () => TrainBeside(other.Path, folder.Path, resume: true)).Message;
        Assert.Contains(
            $"belongs to another base: model was {one.Path} when the run began, and is {other.Path} now, with " +
            "other weights (fingerprint ", message);
        File.Copy(Path.Combine(other.Path, "model.safetensors"), Path.Combine(one.Path, "swapped"));
        File.Move(Path.Combine(one.Path, "model.safetensors"), Path.Combine(one.Path, "kept"));
        File.Move(Path.Combine(one.Path, "swapped"), Path.Combine(one.Path, "model.safetensors"));
        Assert.Contains($"the weights of {one.Path} have changed since the run began",
            Assert.Throws<InputException>(() => TrainBeside(one.Path, folder.Path, resume: true)).Message);
        Assert.Equal(before, Listing(folder.Path)); // a refused resume changes nothing
        File.Move(Path.Combine(one.Path, "kept"), Path.Combine(other.Path, "model.safetensors"), overwrite: true);
        Assert.Equal(6, TrainBeside(other.Path, folder.Path, resume: true).Steps); // the same weights lie elsewhere
    }

    [Fact]
    public void A_resume_without_checkpoints_makes_no_folder()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(
            "There is no checkpoint to resume from",
            Assert.Throws<InputException>(() => Train(folder["none"], resume: true)).Message);
        Assert.False(Directory.Exists(folder["none"]));
    }

    [Fact]
    public void Checkpoints_are_written_by_time_too_and_change_nothing_else()
    {
        using TemporaryFolder timed = new(), rare = new();
        TrainerOptions options = Options with { SaveEvery = null };
        Assert.Equal(Train(options: options), Train(timed.Path, options with { SaveInterval = TimeSpan.Zero }));
        // The newest two; after the last step there are the weights themselves.
        Assert.Equal(["step-00000004", "step-00000005"], Directory.GetDirectories(timed["checkpoints"])
            .Select(path => Path.GetFileName(path)).Order());
        Train(rare.Path, options with { SaveInterval = TimeSpan.FromMinutes(10) });
        Assert.False(Directory.Exists(rare["checkpoints"]));
    }

    private static TrainingResult TrainBeside(string model, string output, bool resume)
    {
        using PretrainedModel opened = PretrainedModel.Open(model);
        using var adapter = Adapter.Create(opened, Config, 1);
        adapter.Attach();
        using var stop = new CancellationTokenSource();
        var recorder = new Recorder { OnStep = step => { if (step.Step == 3) stop.Cancel(); } };
        return new Trainer(opened.Decoder, new TrainedAdapter(adapter), Options, output, recorder)
            .Run(Rows, [], resume, stop.Token);
    }

    private static string[] Listing(string folder) =>
        [.. Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        .Select(file =>
            $"{file} {new FileInfo(file).LastWriteTimeUtc.Ticks} " +
            $"{Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))}")];

    private static void Damage(string checkpoint, string damage)
    {
        string File(string name) => Path.Combine(checkpoint, name);
        switch (damage)
        {
            case "cut":
                using (var stream = new FileStream(File("weights.safetensors"), FileMode.Open))
                    stream.SetLength(stream.Length / 2);
                break;
            case "turned":
                byte[] bytes = System.IO.File.ReadAllBytes(File("optimizer.safetensors"));
                bytes[^5] ^= 1;
                System.IO.File.WriteAllBytes(File("optimizer.safetensors"), bytes);
                break;
            case "missing":
                System.IO.File.Delete(File("random.safetensors"));
                break;
            case "torn manifest":
                System.IO.File.WriteAllText(
                    File("manifest.json"), System.IO.File.ReadAllText(File("manifest.json"))[..40]);
                break;
            default:
                System.IO.File.Delete(File("manifest.json"));
                break;
        }
    }

    private static byte[] Train(TrainerOptions? options = null)
    {
        using var folder = new TemporaryFolder();
        return Train(folder.Path, options);
    }

    private static byte[] Train(
        string output, TrainerOptions? options = null, bool resume = false, int? stopAfter = null,
        Recorder? recorder = null,
        TokenizedExample[]? rows = null, TokenizedExample[]? validation = null)
    {
        using var tiny = new TinyModel();
        using var adapter = Adapter.Create(tiny.Model, Config, 1);
        adapter.Attach();
        using var stop = new CancellationTokenSource();
        recorder ??= new Recorder { OnStep = step => { if (step.Step == stopAfter) stop.Cancel(); } };
        new Trainer(tiny.Model.Decoder, new TrainedAdapter(adapter), options ?? Options, output, recorder)
            .Run(rows ?? Rows, validation ?? [], resume, stop.Token);
        return File.ReadAllBytes(Path.Combine(output, "adapter", Adapter.FileName));
    }
}
