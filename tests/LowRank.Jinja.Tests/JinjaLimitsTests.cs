using System.Diagnostics;
using System.Text.Json.Nodes;

namespace LowRank.Jinja.Tests;

/// <summary>Whatever a template does, it ends soon and in a clear error.</summary>
public sealed class JinjaLimitsTests
{
    [Fact]
    public void The_defaults_are_these()
    {
        var limits = new JinjaLimits();

        Assert.Equal(5_000_000, limits.MaximumSteps);
        Assert.Equal(8 * 1024 * 1024, limits.MaximumLength);
        Assert.Equal(200, limits.MaximumDepth);
    }

    [Theory]
    [InlineData("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "steps")]
    [InlineData("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "steps")]
    [InlineData("{{ range(99999)|map('string')|join|length }}{{ 'a' * 10000000000 }}", "characters")]
    [InlineData("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "characters")]
    [InlineData("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "characters")]
    [InlineData(
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('', ns.s) %}{% endfor %}",
        "characters")]
    [InlineData("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s|join(ns.s) %}{% endfor %}",
        "characters")]
    [InlineData("{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "steps")]
    [InlineData(
        "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
        "")]
    [InlineData(
        "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ " +
        "ns.s|tojson }}", "")]
    [InlineData(
        "{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = " +
        "[ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}", "steps")]
    [InlineData(
        "{% set ns = namespace(s=(1,)) %}{% for i in range(40) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ " +
        "{ns.s: 1} }}", "steps")]
    [InlineData(
        "{% set ns = namespace(s=[1]) %}{% for i in range(9999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
        "nests deeper")]
    [InlineData(
        "{% set ns = namespace(s=[1]) %}{% for i in range(9999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s|tojson }}",
        "nests deeper")]
    [InlineData(
        "{% set ns = namespace(s=[1]) %}{% for i in range(9999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ " +
        "ns.s|tojson(indent=2) }}", "nests deeper")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nests deeper")]
    [InlineData("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nests deeper")]
    [InlineData("{{ 9 ** 999999 }}", "bits")]
    [InlineData("{% set ns = namespace(v=3) %}{% for i in range(99) %}{% set ns.v = ns.v * ns.v %}{% endfor %}",
        "bits")]
    [InlineData("{{ '%1000000000d' % 1 }}", "width")]
    [InlineData("{{ '%.1000000000f' % 1 }}", "precision")]
    [InlineData("{{ '%.999999999d' % 1 }}", "precision")]
    [InlineData("{{ '{:1000000000}'.format(1) }}", "width")]
    [InlineData("{{ 'a'.center(1000000000) }}", "characters")]
    [InlineData("{{ 'a'|center(1000000000) }}", "characters")]
    [InlineData("{{ 'a'.zfill(1000000000) }}", "characters")]
    [InlineData("{{ '\t'.expandtabs(1000000000) }}", "characters")]
    [InlineData("{{ 'a\nb'|indent(1000000000) }}", "characters")]
    [InlineData("{{ [1]|tojson(indent=1000000000) }}", "characters")]
    [InlineData("{{ [1]|batch(1000000000, 0)|list }}", "steps")]
    [InlineData("{{ [1]|slice(1000000000, 0)|list }}", "steps")]
    [InlineData("{{ range(0, 100001) }}", "100000")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{% if s == s ~ '' %}{% endif %}{% endfor %}",
        "steps")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{{ s|length }}{% endfor %}", "steps")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{{ s[5] }}{% endfor %}", "steps")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{{ s.find('b') }}{% endfor %}", "steps")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{{ 'b' in s }}{% endfor %}", "steps")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{{ s is upper }}{% endfor %}", "steps")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{{ s[:1] }}{% endfor %}", "steps")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{{ s % () }}{% endfor %}", "")]
    [InlineData("{% set s = 'a' * 8000000 %}{% for i in range(99999) %}{% set q = 'x'|replace('y', s) %}{% endfor %}",
        "steps")]
    public void A_bomb_ends_in_a_clear_error(string source, string limit)
    {
        var watch = Stopwatch.StartNew();

        Assert.Contains(limit, Rendering.Error(source), StringComparison.Ordinal);
        // a guard: the limits count steps and characters
        Assert.True(watch.Elapsed < TimeSpan.FromMinutes(20), $"took {watch.Elapsed}");
    }

    [Theory]
    [InlineData("(", "1", ")")]
    [InlineData("[", "1", "]")]
    [InlineData("{1:", "1", "}")]
    [InlineData("not ", "1", "")]
    [InlineData("-", "1", "")]
    [InlineData("f(", "1", ")")]
    [InlineData("a[", "1", "]")]
    [InlineData("1 if 1 else ", "1", "")]
    [InlineData("1|d(", "1", ")")]
    [InlineData("1 is eq(", "1", ")")]
    public void Deep_nesting_is_refused_when_parsed(string open, string middle, string close)
    {
        var source = "{{ " + string.Concat(Enumerable.Repeat(open, 100_000)) + middle
            + string.Concat(Enumerable.Repeat(close, 100_000)) + " }}";

        Assert.Contains("nests deeper", Rendering.Error(source), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(" + 1")]
    [InlineData(" ~ 1")]
    [InlineData(" and 1")]
    [InlineData(" or 0")]
    [InlineData("|abs")]
    [InlineData(".real")]
    [InlineData(" == 1")]
    public void Long_chains_end_well(string link)
    {
        var source = "{{ 1" + string.Concat(Enumerable.Repeat(link, 100_000)) + " }}";
        var fault = Record.Exception(() => Rendering.Render(source));

        Assert.True(fault is null or TemplateException, fault?.ToString());
    }

    [Fact]
    public void Deeply_nested_statements_are_refused()
    {
        var source = string.Concat(Enumerable.Repeat("{% if 1 %}", 50_000));

        Assert.Contains("nests deeper", Rendering.Error(source), StringComparison.Ordinal);
    }

    [Fact]
    public void Limits_are_those_given()
    {
        var small = new JinjaLimits { MaximumSteps = 1000, MaximumLength = 100, MaximumDepth = 10 };

        Assert.Contains("1000 steps", Rendering.Error("{% for i in range(2000) %}{% endfor %}", limits: small),
            StringComparison.Ordinal);
        Assert.Contains("100 characters", Rendering.Error("{{ 'a' * 101 }}", limits: small), StringComparison.Ordinal);
        Assert.Contains("10 levels", Rendering.Error("{{ ((((((1)))))) }}", limits: small), StringComparison.Ordinal);
        Assert.Equal(new string('a', 100), Rendering.Render("{{ 'a' * 100 }}", limits: small));
    }

    [Fact]
    public void A_long_conversation_is_far_from_the_limits()
    {
        var messages = new JsonArray();
        for (var i = 0; i < 1000; i++)
        {
            messages.Add(
                new JsonObject { ["role"] = i % 2 == 0 ? "user" : "assistant", ["content"] = new string('x', 1000) });
        }

        var limits = new JinjaLimits { MaximumSteps = 1_000_000 };
        var template = JinjaTemplate.Parse(JinjaTemplate.ChatMl.Source, limits);

        Assert.True(template.Render(new JsonObject { ["messages"] = messages }).Text.Length > 1_000_000);
    }
}
