using System.Text.Json.Nodes;

namespace LowRank.Jinja.Tests;

public sealed class JinjaTemplateTests
{
    private const string Conversation = """
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello 😀"},
          {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "See you"}]}
        """;

    [Fact]
    public void Chat_ml_writes_roles_and_marks_what_the_assistant_said()
    {
        var rendered = JinjaTemplate.ChatMl.Render(JsonNode.Parse(Conversation)!.AsObject());

        Assert.Equal(
            "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello 😀<|im_end|>\n" +
            "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\nSee you<|im_end|>\n",
            rendered.Text);
        Assert.Equal(
            ["Hello 😀<|im_end|>", "See you<|im_end|>"],
            rendered.GenerationSpans.Select(span => rendered.Text.Substring(span.Start, span.Length)));
        Assert.True(rendered.GenerationSpansComplete);
        Assert.True(JinjaTemplate.ChatMl.HasGenerationBlocks);
    }

    [Fact]
    public void Chat_ml_opens_the_answer_on_request()
    {
        var variables = JsonNode.Parse("""{"messages": [], "add_generation_prompt": true}""")!.AsObject();

        Assert.Equal("<|im_start|>assistant\n", JinjaTemplate.ChatMl.Render(variables).Text);
    }

    // Also where it may never run; functions that every template has are not variables.
    [Fact]
    public void A_template_says_which_names_it_reads()
    {
        var template = JinjaTemplate.Parse(
            "{% macro f(a) %}{{ a + inner }}{% endmacro %}{% if x is defined %}{{ y['k'] | default(z) }}{% endif %}" +
            "{{ f(range(3)) }}{{ m.attribute }}{{ 'text' }}{% for i in items %}{{ loop.index }}{% endfor %}");

        Assert.Superset(new HashSet<string> { "inner", "x", "y", "z", "m", "items" }, template.Names.ToHashSet());
        Assert.DoesNotContain("range", template.Names);
        Assert.DoesNotContain("attribute", template.Names);
        Assert.DoesNotContain("never", template.Names);
    }

    [Fact]
    public void Spans_move_along_with_a_macro_that_is_written_as_it_is()
    {
        const string Source = "{% macro turn(m) %}[{% generation %}{{ m }}{% endgeneration %}]{% endmacro %}" +
            "{% for m in ['ab', 'c'] %}{{ turn(m) }}{% endfor %}";

        var rendered = JinjaTemplate.Parse(Source).Render([]);

        Assert.Equal("[ab][c]", rendered.Text);
        Assert.Equal([(1, 2), (5, 1)], rendered.GenerationSpans);
        Assert.True(rendered.GenerationSpansComplete);
    }

    [Theory]
    [InlineData("{% filter upper %}{% generation %}a{% endgeneration %}{% endfilter %}")]
    [InlineData("{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ 'x' ~ m() }}")]
    [InlineData("{% set q %}{% generation %}a{% endgeneration %}b{% endset %}{{ q|trim|upper }}")]
    public void Spans_that_an_expression_lost_are_reported(string source)
    {
        var rendered = JinjaTemplate.Parse(source).Render([]);

        Assert.Empty(rendered.GenerationSpans);
        Assert.False(rendered.GenerationSpansComplete);
    }

    [Fact]
    public void A_template_without_generation_blocks_says_so()
    {
        var template = JinjaTemplate.Parse("{{ 1 }}");

        Assert.False(template.HasGenerationBlocks);
        Assert.Empty(template.Render([]).GenerationSpans);
        Assert.Equal("{{ 1 }}", template.Source);
    }

    [Fact]
    public void Integers_and_floats_stay_apart_and_keys_in_order() =>
        Assert.Equal(
            "{'b': 1, 'a': 1.0, 'c': [100.0, True, None, -0.0, 123456789012345678901234567890]}",
            Rendering.Render(
                "{{ v }}",
                    """{"v": {"b": 1, "a": 1.0, "c": [1e2, true, null, -0.0, 123456789012345678901234567890]}}"""));

    [Fact]
    public void Numbers_of_dotnet_keep_their_type()
    {
        var variables = new JsonObject { ["i"] = 1, ["d"] = 1.0, ["f"] = 2f, ["l"] = 3L, ["m"] = 4m };

        Assert.Equal("1|1.0|2.0|3|4.0", JinjaTemplate.Parse("{{ i }}|{{ d }}|{{ f }}|{{ l }}|{{ m }}")
            .Render(variables).Text);
    }

    [Fact]
    public void The_clock_is_the_one_given_in_its_own_zone()
    {
        var template = JinjaTemplate.Parse("{{ strftime_now('%Y-%m-%d %H:%M:%S %A %-d %j %b %e %I %p %y %B') }}");

        Assert.Equal("2024-03-05 01:07:09 Tuesday 5 065 Mar  5 01 AM 24 March",
            template.Render([], new EveningClock()).Text);
    }

    [Fact]
    public void A_refusal_carries_the_words_of_the_template_and_the_line()
    {
        var message = Rendering.Error("a\n\n{{ raise_exception('Only users, please') }}");

        Assert.Equal("line 3: the template refuses this input: Only users, please", message);
    }

    [Theory]
    [InlineData("x\n{% include 'other' %}", "line 2", "'include'")]
    [InlineData("{% extends 'base' %}", "line 1", "'extends'")]
    [InlineData("{% import 'x' as y %}", "line 1", "'import'")]
    [InlineData("{% from 'x' import y %}", "line 1", "'from'")]
    [InlineData("{% autoescape true %}{% endautoescape %}", "line 1", "'autoescape'")]
    [InlineData("\n\n{{ 'http://x'|urlize }}", "line 3", "'urlize'")]
    [InlineData("{{ self }}", "line 1", "'self'")]
    [InlineData("{{ lipsum() }}", "line 1", "'lipsum'")]
    [InlineData("\n{{ 'a'.encode() }}", "line 2", "'encode'")]
    [InlineData("{{ '\\N{DASH}' }}", "line 1", "\\N{name}")]
    [InlineData("{{ strftime_now('%Q') }}", "line 1", "'%Q'")]
    public void What_is_not_supported_is_named_with_its_line(string source, string line, string construct)
    {
        var message = Rendering.Error(source);

        Assert.Contains(line, message, StringComparison.Ordinal);
        Assert.Contains(construct, message, StringComparison.Ordinal);
        Assert.Contains("not supported", message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_unknown_filters_and_tests_are_reported_at_once()
    {
        var message = Rendering.Error("{{ 1|one }}\n{{ 2|two }}\n{{ 3 is three }}");

        Assert.Equal(
            "line 1: there is no filter named 'one'; line 2: there is no filter named 'two'; " +
            "line 3: there is no test named 'three'", message);
    }

    [Fact]
    public void A_template_renders_in_several_threads_at_once()
    {
        var variables = Enumerable.Range(0, 64).Select(i => new JsonObject { ["i"] = i }).ToArray();
        var template = JinjaTemplate.Parse(
            "{% set ns = namespace(v=0) %}{% for k in range(50) %}{% set ns.v = ns.v + i %}{% endfor %}{{ ns.v }}");
        var texts = new string[variables.Length];

        Parallel.For(0, variables.Length, i => texts[i] = template.Render(variables[i]).Text);

        Assert.Equal(Enumerable.Range(0, 64).Select(i => (i * 50).ToString()), texts);
    }

    // 23:07 in UTC, two hours later here.
    private sealed class EveningClock : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone { get; } =
            TimeZoneInfo.CreateCustomTimeZone("east", TimeSpan.FromHours(2), "east", "east");

        public override DateTimeOffset GetUtcNow() => new(2024, 3, 4, 23, 7, 9, TimeSpan.Zero);
    }
}
