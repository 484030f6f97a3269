using LowRank.Adapters;
using LowRank.Data;
using LowRank.Tests.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>Runs on a disk that is full for a while.</summary>
public sealed class StorageWaitTests
{
    private const int NoSpace = 28; // ENOSPC

    private static IOException Full() => new("No space left on device", NoSpace);

    private readonly List<string> said = [];
    private readonly List<TimeSpan> pauses = [];

    private StorageWait Waits(TimeSpan limit) => new(limit, said.Add) { Sleep = pauses.Add };

    [Fact]
    public void Writing_is_tried_again_until_there_is_space_and_the_user_is_told()
    {
        int tried = 0;
        string written = Waits(Timeout.InfiniteTimeSpan).Run("run/adapter", () => ++tried < 8 ? throw Full() : "whole");
        Assert.Equal(("whole", 8), (written, tried));
        Assert.Equal([1, 2, 4, 8, 16, 30, 30], pauses.Select(pause => pause.TotalSeconds));
        Assert.Equal(2, said.Count);
        Assert.StartsWith(
            "run/adapter cannot be written: No space left on device. The run waits", said[0], StringComparison.Ordinal);
        Assert.Contains("continues", said[1], StringComparison.Ordinal);
    }

    [Fact]
    public void The_wait_is_told_again_after_ten_minutes()
    {
        int tried = 0;
        Waits(Timeout.InfiniteTimeSpan).Run("file", () => ++tried < 30 ? throw Full() : true);
        Assert.Equal(3, said.Count);
    }

    [Fact]
    public void Another_error_and_a_limit_end_the_wait()
    {
        Assert.Throws<IOException>(
            () => Waits(Timeout.InfiniteTimeSpan)
            .Run<bool>("file", () => throw new IOException("Input/output error", 5)));
        Assert.Empty(pauses);
        Assert.Throws<IOException>(() => Waits(TimeSpan.FromSeconds(3)).Run<bool>("file", () => throw Full()));
        Assert.Equal(2, pauses.Count);
        Assert.Throws<RunStorageException>(() => RunStorageException.Guard("file", () => throw Full()));
    }

    [Fact]
    public void A_run_whose_last_write_finds_a_full_disk_ends_in_the_same_bytes_once_there_is_space()
    {
        using TemporaryFolder folder = new(), whole = new();
        Assert.Equal(Train(whole, failures: 0), Train(folder, failures: 3));
        Assert.Equal(3, pauses.Count);
        Assert.Contains(
            said, line => line.StartsWith($"{folder["out/adapter"]} cannot be written", StringComparison.Ordinal));
    }

    [Fact]
    public void Without_a_checkpoint_no_resume_is_promised()
    {
        using var folder = new TemporaryFolder();
        string message = Assert.Throws<RunStorageException>(() => Train(folder, failures: 1, waits: false)).Message;
        Assert.Contains("The weights after step 3 could not be written to", message, StringComparison.Ordinal);
        Assert.Contains("There is no checkpoint to resume from", message, StringComparison.Ordinal);
        Assert.DoesNotContain("resume the run", message, StringComparison.Ordinal);
        using var saved = new TemporaryFolder();
        message = Assert.Throws<RunStorageException>(
            () => Train(saved, failures: 1, waits: false, saveEvery: 2)).Message;
        Assert.Contains("step-00000003", message, StringComparison.Ordinal);
        Assert.Contains("then resume the run", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_that_finds_no_space_leaves_no_half_of_it()
    {
        using var folder = new TemporaryFolder();
        using (var stream = new FileStream(folder["lines"], FileMode.Create, FileAccess.Write, FileShare.Read, 0))
        {
            LowRank.IO.AtomicFile.Append(stream, "one\n"u8);
            LowRank.IO.AtomicFile.Append(stream, "two\n"u8);
        }
        Assert.Equal("one\ntwo\n", File.ReadAllText(folder["lines"]));
    }

    private byte[] Train(TemporaryFolder folder, int failures, bool waits = true, long? saveEvery = null)
    {
        using var tiny = new TinyModel();
        using var adapter =
            Adapter.Create(tiny.Model, new LoraConfig { Rank = 2, TargetModules = ["q_proj"] }, 1);
        adapter.Attach();
        TokenizedExample[] rows =
            [.. Enumerable.Range(0, 6).Select(row => new TokenizedExample([row, row + 3, 9], [row, row + 3, 9]))];
        using RunFolder run = RunFolder.Hold(folder["out"], waits ? Waits(Timeout.InfiniteTimeSpan) : null);
        var trained = new FullDisk(new TrainedAdapter(adapter), failures);
        new Trainer(new CausalObjective(tiny.Model.Decoder), trained,
            new TrainerOptions { Steps = 3, BatchSize = 2, SaveEvery = saveEvery }, run, new Recorder()).Run(rows, []);
        return File.ReadAllBytes(Path.Combine(folder["out/adapter"], Adapter.FileName));
    }

    // A disk that has no room for the adapter a few times.
    private sealed class FullDisk(ITrainedWeights inner, int failures) : ITrainedWeights
    {
        private int failed;

        public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => inner.Weights;

        public string FolderName => inner.FolderName;

        public void Save(string folder)
        {
            if (failed++ < failures) throw Full();
            inner.Save(folder);
        }
    }
}
