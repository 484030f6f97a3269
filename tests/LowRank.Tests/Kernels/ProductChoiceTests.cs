using System.Globalization;
using System.Runtime.Intrinsics;
using LowRank.Kernels;
using LowRank.Testing;

namespace LowRank.Tests.Kernels;

public sealed class ProductChoiceTests
{
    private const double Rounding = 0.0006; // an entry has three decimals

    [Fact]
    public void What_was_measured_is_kept_and_a_damaged_entry_is_measured_anew()
    {
        Assert.SkipUnless(Vector256.IsHardwareAccelerated, "the library has no product of its own here");
        using var folder = new TemporaryFolder();
        string cache = Path.Combine(folder.Path, "products");
        double found = ProductChoice.Gain(cache);
        string entry = Assert.Single(Directory.GetFiles(cache));
        Assert.Equal(found, Kept(entry), Rounding);
        Assert.Equal(Kept(entry), ProductChoice.Gain(cache));
        File.WriteAllText(entry, "2.5");
        Assert.Equal(2.5, ProductChoice.Gain(cache));
        foreach (string damaged in new[] { "", "fast", "-1", "NaN" })
        {
            File.WriteAllText(entry, damaged);
            Assert.Equal(ProductChoice.Gain(cache), Kept(entry), Rounding);
        }
    }

    [Fact]
    public void A_folder_that_cannot_be_written_costs_nothing_but_time()
    {
        using var folder = new TemporaryFolder();
        string file = Path.Combine(folder.Path, "file");
        File.WriteAllText(file, "");
        Assert.InRange(ProductChoice.Gain(file), Vector256.IsHardwareAccelerated ? double.Epsilon : 0, double.MaxValue);
        Assert.Equal("", File.ReadAllText(file));
    }

    private static double Kept(string entry) => double.Parse(File.ReadAllText(entry), CultureInfo.InvariantCulture);

    [Fact]
    public void It_depends_on_processor_threads_and_versions() =>
        Assert.Matches("^.+, vectors of (256|512) bits, \\d+ threads, \\d.*, \\d.*$", ProductChoice.Key);
}
