using System.Text;
using LowRank.Recipes.Runs;

namespace LowRank.Tests.Recipes.Runs;

public sealed class RunMetricsTests
{
    [Fact]
    public void Numbers_of_every_line_become_curves_and_texts_are_kept()
    {
        RunMetrics metrics = Read("""
            {"step":1,"loss":2.5,"grad_norm":1e-3,"note":"text","list":[1]}
            {"step":2,"loss":2.25,"grad_norm":0.5}
            {"step":2,"eval_loss":2,"generations":[{"prompt":"a","text":"b"},"c",7]}

            """);
        Assert.Empty(metrics.Problems);
        Assert.Equal(["eval_loss", "grad_norm", "loss"], metrics.Series.Keys);
        Assert.Equal([new MetricPoint(1, 2.5), new MetricPoint(2, 2.25)], metrics.Series["loss"].Curve());
        Assert.Equal([new RunText(2, "a", "b"), new RunText(2, "", "c")], metrics.Texts);
        Assert.Equal((3, 2), (metrics.Lines, metrics.LastStep!.Value));
    }

    [Theory]
    [InlineData("{\"step\":2,\"lo")]
    [InlineData("{\"step\":2,\"text\":\"\xC3")]
    [InlineData("{")]
    public void A_torn_last_line_is_left_out_and_told(string torn)
    {
        RunMetrics metrics = Read("{\"step\":1,\"loss\":1}\n" + torn);
        string problem = Assert.Single(metrics.Problems);
        Assert.Contains("line 2", problem);
        Assert.Contains("torn", problem);
        Assert.Equal(1, metrics.Series["loss"].Count);
    }

    [Fact]
    public void A_last_line_that_only_lacks_its_end_is_taken()
    {
        RunMetrics metrics = Read("{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":3}");
        Assert.Empty(metrics.Problems);
        Assert.Equal(2, metrics.LastStep);
    }

    [Fact]
    public void Wrong_lines_are_counted_and_the_first_named()
    {
        RunMetrics metrics =
            Read("nonsense\n{\"loss\":1}\n{\"step\":-1}\n\n{\"step\":1.5}\n[1]\n{\"step\":1,\"loss\":4}{}\n" +
                "{\"step\":7,\"loss\":4}\n");
        Assert.Equal(
            ["Line 1 of metrics.jsonl is not JSON and was left out.",
            "Line 2 of metrics.jsonl has no step and was left out.",
            "Line 3 of metrics.jsonl has a step that is no whole number from 0 and was left out.",
            "7 lines of metrics.jsonl cannot be read; the first 3 are named above."], metrics.Problems);
        Assert.Equal(7, metrics.LastStep);
    }

    [Fact]
    public void Losses_that_are_no_numbers_are_told()
    {
        RunMetrics metrics =
            Read("{\"step\":1,\"loss\":null}\n{\"step\":2,\"loss\":\"NaN\"}\n{\"step\":3,\"loss\":1e999}\n" +
                "{\"step\":4,\"loss\":2}\n{\"step\":4,\"loss\":9}\n");
        Assert.Equal(["loss is not a finite number at 3 of 5 measurements; the curve goes over them.",
            "loss was measured again at 1 steps that metrics.jsonl had before; the earlier measurements are shown."],
            metrics.Problems);
        Assert.Equal([new MetricPoint(4, 2)], metrics.Series["loss"].Curve());
    }

    [Fact]
    public void An_endless_line_and_endless_names_take_no_endless_memory()
    {
        string names = string.Concat(Enumerable.Range(0, 500).Select(i => $"{{\"step\":{i},\"name{i}\":1}}\n"));
        RunMetrics metrics = Read(names + "{\"step\":600,\"loss\":" + new string('1', 9 << 20) + "}\n{\"step\":700}\n");
        Assert.Equal(64, metrics.Series.Count);
        Assert.Equal(2, metrics.Problems.Count);
        Assert.Contains("longer than 8,388,608 bytes", metrics.Problems[0]);
        Assert.Contains("more than 64 quantities", metrics.Problems[1]);
        Assert.Equal(700, metrics.LastStep);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    public void Lines_are_found_however_the_bytes_arrive(int piece)
    {
        string text = string.Concat(
            Enumerable.Range(1, 300).Select(step => $"{{\"step\":{step},\"loss\":{step}.5}}\r\n"));
        using var stream = new Pieces(Encoding.UTF8.GetBytes(text), piece);
        RunMetrics metrics = RunMetrics.Read(stream, "metrics.jsonl");
        Assert.Empty(metrics.Problems);
        Assert.Equal(300, metrics.Series["loss"].Count);
        Assert.Equal(new MetricPoint(300, 300.5), metrics.Series["loss"].Last);
    }

    private static RunMetrics Read(string text) =>
        RunMetrics.Read(new MemoryStream(Encoding.Latin1.GetBytes(text)), "metrics.jsonl");

    private sealed class Pieces(byte[] bytes, int piece) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) =>
            base.Read(buffer, offset, Math.Min(count, piece));
    }
}
