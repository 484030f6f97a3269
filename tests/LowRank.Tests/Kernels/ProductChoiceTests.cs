using LowRank.Kernels;
using LowRank.Testing;

namespace LowRank.Tests.Kernels;

public sealed class ProductChoiceTests
{
    [Fact]
    public void What_was_measured_is_kept_and_a_damaged_entry_is_measured_anew()
    {
        using var folder = new TemporaryFolder();
        string cache = Path.Combine(folder.Path, "products");
        double found = ProductChoice.Gain(cache);
        string entry = Assert.Single(Directory.GetFiles(cache));
        if (found > 0) Assert.InRange(found, 0.01, 100);
        Assert.Equal(found, ProductChoice.Gain(cache), 0.0006);
        File.WriteAllText(entry, "2.5");
        Assert.Equal(2.5, ProductChoice.Gain(cache));
        foreach (string damaged in new[] { "", "fast", "-1", "NaN" })
        {
            File.WriteAllText(entry, damaged);
            Assert.NotEqual(2.5, ProductChoice.Gain(cache));
            Assert.InRange(double.Parse(File.ReadAllText(entry), System.Globalization.CultureInfo.InvariantCulture),
                0.01, 100);
        }
    }

    [Fact]
    public void A_folder_that_cannot_be_written_costs_nothing_but_time()
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "file");
        File.WriteAllText(file, "");
        Assert.InRange(ProductChoice.Gain(file), 0.01, 100);
    }

    [Fact]
    public void It_depends_on_processor_threads_and_versions() =>
        Assert.Matches("^.+, vectors of (256|512) bits, \\d+ threads, \\d.*, \\d.*$", ProductChoice.Key);
}
