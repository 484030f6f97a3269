using LowRank.Cli.Views;
using LowRank.Training;
using Spectre.Console.Rendering;
using Spectre.Console.Testing;

namespace LowRank.Tests.Cli;

public sealed class ProgressViewTests
{
    private static readonly TrainingPlan Plan = new(10, 2000, 1234, 56789, "out");

    private static TrainingStep Step(long step, double seconds) =>
        new(step, 1.5 / step, 0.5, 1e-4, 64, 1234.4, TimeSpan.FromSeconds(seconds));

    private static string Show(IRenderable picture)
    {
        using var console = new TestConsole();
        console.Profile.Width = 120;
        console.Write(picture);
        return console.Output;
    }

    [Fact]
    public void The_live_view_shows_the_bar_the_last_step_and_the_best_evaluation()
    {
        var pictures = new List<IRenderable>();
        var view = new LiveProgress(pictures.Add, TimeProvider.System);
        view.Started(Plan);
        Assert.Contains("Training 1,234 of 56,789 weights on 2,000 examples", Show(pictures[^1]));
        Assert.Contains("0/10 steps", Show(pictures[^1]));
        view.Stepped(Step(5, 3600));
        view.Evaluated(new EvaluationResult(5, 0.25, 100));
        view.Evaluated(new EvaluationResult(6, 0.75, 100));
        view.Finished(new TrainingResult(6, 1, 5, 0.25, 1, TimeSpan.Zero, 1, "out"));
        string last = Show(pictures[^1]);
        Assert.Equal(40, last.Count(c => c == '━'));
        Assert.Contains("5/10 steps", last);
        Assert.Contains("loss 0.3000   1,234 tokens/s   1:00:00 elapsed, 1:00:00 left", last);
        Assert.Contains("held-out loss 0.7500 after step 6; best 0.2500 after step 5", last);
        Assert.Contains("● held out", last);
        Assert.Contains("0.2500 ┤", last); // the lowest loss of the curve
    }

    [Fact]
    public void The_live_view_draws_at_most_four_times_a_second_and_always_the_last_step()
    {
        var time = new FixedTime();
        var pictures = new List<IRenderable>();
        var view = new LiveProgress(pictures.Add, time);
        view.Started(Plan);
        for (int step = 1; step <= 9; step++) view.Stepped(Step(step, step));
        Assert.Single(pictures);
        time.Now += TimeSpan.FromMilliseconds(250);
        view.Stepped(Step(9, 9));
        Assert.Equal(2, pictures.Count);
        view.Stepped(Step(10, 10));
        Assert.Contains("10/10 steps", Show(pictures[2]));
    }

    [Fact]
    public void Skipped_steps_are_shown_as_they_come_and_a_flood_of_them_is_counted()
    {
        TrainingStep Skipped(long step) =>
            Step(step, 0.01 * step) with { Skipped = "the loss is NaN", SkippedSteps = step };
        var pictures = new List<IRenderable>();
        var live = new LiveProgress(pictures.Add, new FixedTime { Now = TimeSpan.FromHours(1) });
        live.Started(Plan);
        live.Stepped(Skipped(10));
        Assert.Contains("10 steps skipped, most recently step 10: the loss is NaN", Show(pictures[^1]));

        var output = new StringWriter { NewLine = "\n" };
        var plain = new PlainProgress(output);
        plain.Started(Plan with { Steps = 100 });
        for (int step = 1; step <= 100; step++) plain.Stepped(Skipped(step));
        string text = output.ToString();
        Assert.Equal(10, text.Split("skipped, the weights stay unchanged: the loss is NaN").Length - 1);
        Assert.Contains("step 100/100", text);
        Assert.EndsWith("   100 skipped\n", text);
    }

    [Fact]
    public void Plain_lines_hold_no_control_characters_and_come_every_few_seconds()
    {
        var output = new StringWriter { NewLine = "\n" };
        var view = new PlainProgress(output);
        view.Started(Plan);
        for (int step = 1; step <= 10; step++) view.Stepped(Step(step, step));
        view.Evaluated(new EvaluationResult(10, 0.25, 100));
        view.Finished(new TrainingResult(10, 1, 10, 0.25, 1, TimeSpan.Zero, 1, "out"));
        string[] lines = output.ToString().TrimEnd('\n').Split('\n');
        Assert.StartsWith("Training 1,234 of 56,789 weights (2.17 %) on 2,000 examples, 10 steps", lines[0]);
        Assert.Equal(["step 1/10", "step 6/10", "step 10/10", "step 10/10"],
            lines[1..].Select(line => line[..line.IndexOf("   ", StringComparison.Ordinal)]));
        Assert.Equal("step 1/10   loss 1.5000   1234 tokens/s   0:09 left", lines[1]);
        Assert.Equal("step 10/10   held-out loss 0.2500", lines[^1]);
        Assert.DoesNotContain(output.ToString(), c => char.IsControl(c) && c != '\n');
    }

    [Fact]
    public void A_measurement_shows_rows_done_their_rate_and_the_time_left()
    {
        var time = new FixedTime();
        var output = new StringWriter { NewLine = "\n" };
        MeasuringProgress lines = MeasuringProgress.Lines(output, time);
        for (int second = 1; second <= 10; second++)
        {
            time.Now += TimeSpan.FromSeconds(1);
            lines.Report((second * 10, 400));
        }
        Assert.Equal(
            "50/400 rows   10 rows/s   0:35 left\n100/400 rows   10 rows/s   0:30 left\n", output.ToString());

        var pictures = new List<string>();
        var live = new MeasuringProgress(
            progress => pictures.Add(Show(progress.Picture)), TimeSpan.FromSeconds(1), isLast: true, time);
        live.Report((1, 1000));
        Assert.Empty(pictures);
        time.Now += TimeSpan.FromSeconds(2);
        live.Report((500, 1000));
        live.Report((1000, 1000));
        Assert.Equal(2, pictures.Count);
        Assert.Equal(40, pictures[0].Count(c => c == '━'));
        Assert.Contains("500/1,000 rows", pictures[0]);
        Assert.Contains("250 rows/s   0:02 left", pictures[0]);
        Assert.Contains("1,000/1,000 rows", pictures[1]);
    }

    [Fact]
    public void A_measurement_goes_on_when_its_terminal_is_gone()
    {
        int shown = 0;
        var live = new MeasuringProgress(_ =>
        {
            shown++;
            throw new IOException("gone");
        }, TimeSpan.Zero, isLast: true, TimeProvider.System);
        for (int row = 1; row <= 3; row++) live.Report((row, 3));
        Assert.Equal(1, shown);
        Assert.Equal((3, 3), live.State);
    }

    [Theory]
    [InlineData(7.4, "0:07")]
    [InlineData(750, "12:30")]
    [InlineData(3723, "1:02:03")]
    [InlineData(90_000, "25:00:00")]
    public void Times_do_not_wrap_at_an_hour_or_a_day(double seconds, string expected) =>
        Assert.Equal(expected, Durations.Show(TimeSpan.FromSeconds(seconds)));

    private sealed class FixedTime : TimeProvider
    {
        public TimeSpan Now { get; set; } = TimeSpan.FromHours(1);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
