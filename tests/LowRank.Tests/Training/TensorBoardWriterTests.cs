using LowRank.Training;

namespace LowRank.Tests.Training;

public sealed class TensorBoardWriterTests
{
    private static TrainingStep Step(long step) =>
        new(step, 2.5, 1.25, 1e-4, 64, 1000.5, TimeSpan.FromSeconds(step)) { MemoryBytes = 1 << 20 };

    private static TrainingPlan Plan(long? resumedFrom = null) => new(300, 1, 1, 1, "x") { ResumedFrom = resumedFrom };

    [Fact]
    public void A_file_begins_with_the_bytes_that_TensorFlow_writes()
    {
        using var folder = new TemporaryFolder();
        using (var writer = new TensorBoardWriter(folder["events"])) writer.Started(Plan());
        byte[] bytes = File.ReadAllBytes(Assert.Single(Directory.GetFiles(folder["events"])));
        // The length 24, its masked checksum, and the key of wall_time: how every event file of TensorFlow begins.
        Assert.Equal([0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22, 0x09], bytes[..13]);
        Assert.Equal([0x1a, 0x0d, .. "brain.Event:2"u8], bytes[21..36]);
        Assert.Equal(40, bytes.Length);
    }

    [Fact]
    public void Steps_and_evaluations_are_events_with_their_values_at_once()
    {
        using var folder = new TemporaryFolder();
        using var writer = new TensorBoardWriter(folder["events"]);
        writer.Started(Plan());
        writer.Stepped(Step(300));
        writer.Evaluated(new EvaluationResult(300, 0.5, 12)
        {
            Metrics = new Dictionary<string, double?> { ["accuracy"] = 0.75, ["undefined"] = null },
            Generations = [new GeneratedText("a\nb", "é")],
        });
        // The writer is still open.
        IReadOnlyList<ILookup<string, object>> events =
            EventFile.Read(Assert.Single(Directory.GetFiles(folder["events"], "events.out.tfevents.*")));
        Assert.Equal(3, events.Count);
        Assert.InRange((double)events[1]["1"].Single(), 1.7e9, 1e10);
        Assert.Equal(300L, events[1]["2"].Single());
        Assert.Equal(
            ["train/loss", "train/grad_norm", "train/learning_rate", "train/tokens_per_second", "train/memory_bytes"],
            events[1]["5.1.1"]);
        Assert.Equal([2.5f, 1.25f, 1e-4f, 1000.5f, 1048576f], events[1]["5.1.2"]);
        Assert.Equal(["eval/loss", "eval/accuracy", "generations/1"], events[2]["5.1.1"]);
        Assert.Equal([0.5f, 0.75f], events[2]["5.1.2"]);
        Assert.Equal("text", events[2]["5.1.9.1.1"].Single());
        Assert.Equal("    a\n    b\n\n→\n\n    é", events[2]["5.1.8.8"].Single());
    }

    [Fact]
    public void A_resumed_run_goes_on_in_a_later_file_and_voids_what_is_taken_again()
    {
        using var folder = new TemporaryFolder();
        for (int session = 0; session < 3; session++) // in the same second
        {
            using var writer = new TensorBoardWriter(folder["events"]);
            writer.Started(Plan(session == 0 ? null : 10 * session));
            writer.Stepped(Step(10 * session + 1));
        }
        string[] files = [.. Directory.GetFiles(folder["events"]).Order(StringComparer.Ordinal)];
        Assert.Equal([1L, 11L, 21L], files.Select(file => (long)EventFile.Read(file)[^1]["2"].Single()));
        Assert.Equal([11L, 21L], files[1..].Select(file => (long)EventFile.Read(file)[1]["2"].Single()));
        Assert.All(files[1..], file => Assert.Equal(1L, EventFile.Read(file)[1]["7.1"].Single())); // SessionLog.START
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_named()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["events"], "a file");
        using var writer = new TensorBoardWriter(folder["events"]);
        Assert.Contains(folder["events"], Assert.Throws<RunStorageException>(() => writer.Started(Plan())).Message);
    }
}
